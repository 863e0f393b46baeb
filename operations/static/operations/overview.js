// Renews the overview every few seconds: with the page's own session, from the page's own address, and from nowhere else.
"use strict";
{
    const EVERY_MS = 5000;
    const PATIENCE_MS = 15000;
    const panel = document.getElementById("overview");
    const button = document.getElementById("overview-pause");
    const state = document.getElementById("overview-state");
    let timer = null;
    let paused = false;

    const say = (words) => { if (state.textContent !== words) { state.textContent = words; } };

    // What somebody reads with the keyboard is not taken away from under them.
    // A link that was only clicked, for a tab of its own, keeps the focus too, but shows none.
    const isHeld = () => panel.querySelector(":focus-visible") !== null;

    async function renew() {
        try {
            const answer = await fetch(panel.dataset.src, {
                credentials: "same-origin", redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS),
            });
            if (answer.type === "opaqueredirect" || answer.status === 403) {
                say("You are not signed in any more: reload the page.");
                return false;
            }
            if (!answer.ok) { throw new Error(answer.status); }
            const html = await answer.text();
            if (!paused && !isHeld()) { panel.innerHTML = html; }
            say("");
        } catch {
            say("The exchange does not answer: the figures are old.");
        }
        return true;
    }

    async function tick() {
        timer = null;
        if (isHeld()) {
            say("Held while you read: click elsewhere to go on.");
        } else if (!document.hidden && !await renew()) {
            return;
        }
        plan();
    }

    function plan() {
        if (!paused && timer === null) { timer = setTimeout(tick, EVERY_MS); }
    }

    button.addEventListener("click", () => {
        paused = !paused;
        button.setAttribute("aria-pressed", String(paused));
        button.textContent = paused ? "Refresh again" : "Stop refreshing";
        if (paused) { say("Not refreshed."); }
        clearTimeout(timer);
        timer = null;
        if (!paused) { tick(); }
    });
    button.hidden = false;
    plan();
}
