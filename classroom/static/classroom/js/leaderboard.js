// Renews the leaderboard: asks the API every two seconds, and changes what differs.

const EVERY_MS = 2000;
const PATIENCE_MS = 10000;
const byId = (id) => document.getElementById(id);
let seen = "";

/** @param {string} id @param {string} text */
function say(id, text) {
  if (byId(id).textContent !== text) byId(id).textContent = text;
}

/** @param {string} name @param {string} text @param {string} [kind] */
function cell(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

/** @param {number} seconds */
const minutes = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

function line(row) {
  const made = document.createElement("tr");
  if (row.profit !== "0") made.className = row.profit.startsWith("-") ? "is-loss" : "is-gain";
  const name = cell("th", row.name);
  name.scope = "row";
  made.append(cell("td", String(row.rank), "number"), name, cell("td", row.team), cell("td", row.profit, "number"));
  return made;
}

function item(news) {
  const made = document.createElement("li");
  const time = cell("time", new Date(news.publishedAt).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }));
  time.dateTime = news.publishedAt;
  made.append(time, ` ${news.text}`);
  return made;
}

function show(data) {
  const round = data.round;
  if (!round) return;
  say("title", round.title);
  say("about", round.about);
  say("round-state", round.state);
  byId("round-state").dataset.state = round.state;
  say("currency", round.currency);
  say("students", String(data.students));
  const isOpen = round.secondsLeft !== null && round.state !== "CLOSED";
  say("clock", !isOpen ? `${minutes(round.secondsTraded)} traded` : `${minutes(round.secondsLeft)} left`);
  say("marks", data.marks.map((mark) => `${mark.asset} ${mark.price} (${mark.source})`).join(", "));
  const now = JSON.stringify([data.standing, data.news]);
  if (now === seen) return;
  seen = now;
  byId("standing").replaceChildren(...data.standing.map(line));
  if (data.news.length) byId("news").replaceChildren(...data.news.map(item));
}

async function renew() {
  try {
    const answer = await fetch("/api/v1/class", { credentials: "omit", cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    if (!answer.ok) throw new Error(String(answer.status));
    show((await answer.json()).data);
    byId("state").dataset.state = "live";
    say("state", "live");
  } catch {
    byId("state").dataset.state = "waiting";
    say("state", "the exchange does not answer: these figures are old");
  }
}

async function run() {
  if (!document.hidden) await renew();
  setTimeout(run, EVERY_MS);
}

run();
