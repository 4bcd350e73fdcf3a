"use strict";
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const label = () => {
    button.textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", isDark() ? "Use light colours" : "Use dark colours");
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    label();
  });
  system.addEventListener("change", label);
  // In a frame of a worklist: the page around has a head of its own, and says which colours it has.
  if (window.parent !== window) {
    root.dataset.framed = "";
    addEventListener("message", (event) => {
      if (event.source !== window.parent || !event.data || !["dark", "light"].includes(event.data.theme)) return;
      root.dataset.theme = event.data.theme;
      label();
    });
  }
  button.hidden = false;
  label();
})();
