"use strict";
(() => {
  const root = document.documentElement;
  const theme = document.getElementById("theme");
  const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  const name = () => { theme.textContent = dark() ? "Light page" : "Dark page"; };
  theme.addEventListener("click", () => { root.dataset.theme = dark() ? "light" : "dark"; name(); });
  theme.hidden = false;
  name();

  // A link into something that is folded unfolds it.
  const unfold = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let at = target; at; at = at.parentElement) { if (at.tagName === "DETAILS") at.open = true; at.hidden = false; }
    const inside = target.classList.contains("reply") && target.querySelector("details");
    if (inside) inside.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", unfold);
  unfold();

  const form = document.getElementById("filters");
  if (!form) return;
  form.hidden = false;
  const selects = [...form.querySelectorAll("select")];
  const examples = [...document.querySelectorAll(".example")].map((element) => ({ element, replies: [...element.querySelectorAll(".reply")] }));
  const fits = (element, chosen) => chosen.every(([key, value]) => !(element.hasAttribute(`data-${key}`)) || element.getAttribute(`data-${key}`) === value);
  const apply = () => {
    const chosen = selects.filter((select) => select.value).map((select) => [select.dataset.filter, select.value]);
    // What was chosen is printed whole.
    form.closest("section").classList.toggle("chosen", chosen.length > 0);
    let shown = 0;
    let answers = 0;
    for (const { element, replies } of examples) {
      let some = 0;
      for (const reply of replies) {
        const fit = fits(reply, chosen);
        reply.hidden = !fit;
        some += fit;
      }
      element.hidden = !(some && fits(element, chosen));
      if (!element.hidden) { shown += 1; answers += some; }
    }
    document.getElementById("count").textContent = `${shown} of ${examples.length} questions, ${answers} answers`;
  };
  form.addEventListener("change", apply);
  form.addEventListener("reset", () => setTimeout(apply));
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
})();
