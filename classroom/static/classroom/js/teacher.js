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

// What else changes a round, such as its timetable, is seen here too. Not while something is being written.
const EVERY_MS = 2000;
const shown = document.getElementById("class").dataset;
const text = document.getElementById("text");

async function look() {
  try {
    const answer = await fetch("/api/v1/class", { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(10000) });
    const { round } = (await answer.json()).data;
    if (round && (String(round.round) !== shown.round || round.state !== shown.state)) {
      if (!text.value) return location.replace(location.pathname);
    } else if (round) {
      const left = round.secondsLeft === null ? "" : `, ${Math.round(round.secondsLeft)} s left`;
      document.getElementById("clock").textContent = `traded for ${Math.round(round.secondsTraded)} s${left}`;
    }
  } catch {
    // It asks again.
  }
  setTimeout(look, EVERY_MS);
}

setTimeout(look, EVERY_MS);
