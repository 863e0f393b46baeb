// What the admin's pages need beside Django's scripts: filters that close, and parts that renew themselves.
"use strict";
{
    const EVERY_MS = 3000;
    const PATIENCE_MS = 10000;

    // A filter that is open closes by Escape, and by a click elsewhere. Only one is open, by its name.
    const open = () => document.querySelector("#changelist-filter details[open]");
    document.addEventListener("keydown", (event) => {
        const filter = event.key === "Escape" ? open() : null;
        if (filter) {
            filter.open = false;
            filter.querySelector("summary").focus();
        }
    });
    document.addEventListener("click", (event) => {
        const filter = open();
        if (filter && !filter.contains(event.target)) { filter.open = false; }
    });

    // A part with an address renews itself from there, while somebody looks and does not stand in it with the keyboard.
    async function renew(part) {
        if (document.hidden || part.querySelector(":focus-visible") !== null) { return; }
        try {
            const answer = await fetch(part.dataset.renewed, {
                credentials: "same-origin", redirect: "manual", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS),
            });
            if (!answer.ok) { throw new Error(answer.status); }
            part.innerHTML = await answer.text();
            part.classList.remove("old");
        } catch {
            part.classList.add("old");
        }
    }
    for (const part of document.querySelectorAll("[data-renewed]")) {
        const again = async () => {
            await renew(part);
            setTimeout(again, EVERY_MS);
        };
        setTimeout(again, EVERY_MS);
    }
}
