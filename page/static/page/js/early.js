// What the trading page needs first is asked for while its modules are still on their way: the markets, and the connection.
// A script of the old kind, because a module would wait for the others. Without it the page begins a little later.
window.early = {
  markets: fetch("/api/v1/markets", { credentials: "omit" }).then(
    (answer) => (answer.ok ? answer.json() : null),
    () => null,
  ),
  socket: new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/ws`),
};
