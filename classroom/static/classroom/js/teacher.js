// The teacher's page: shows the strength as it is turned, and asks before what ends a round.

const strength = document.getElementById("strength");
const percent = document.getElementById("percent");
strength.addEventListener("input", () => {
  percent.textContent = `${strength.value} %`;
});
for (const button of document.querySelectorAll("button[data-ask]")) {
  button.addEventListener("click", (event) => {
    if (!confirm(button.dataset.ask)) event.preventDefault();
  });
}
for (const form of document.querySelectorAll("form")) {
  // Not at once: a button that is disabled before the form is sent is not sent with it.
  form.addEventListener("submit", () => setTimeout(() => form.querySelectorAll("button").forEach((each) => (each.disabled = true))));
}
