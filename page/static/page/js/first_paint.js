// Before anything is painted: the look that the user chose last. A script of the old kind, because a module comes too late.
try {
  const chosen = localStorage.getItem("theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage is off: the system decides.
}
