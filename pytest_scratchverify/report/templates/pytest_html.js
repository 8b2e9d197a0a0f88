// Says pytest-html's own words in the report's language: of its page, and of rows that it draws later.
"use strict";
addEventListener("DOMContentLoaded", () => {
  const words = JSON.parse(document.getElementById("sv-words").textContent);
  const say = (root) => {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      const said = words[node.data.trim()];
      if (said && !node.parentElement.closest(".sv")) node.data = node.data.replace(node.data.trim(), said);
    }
  };
  document.documentElement.lang = document.querySelector(".sv").lang;
  for (const template of document.querySelectorAll("template")) say(template.content);
  say(document.body);
  new MutationObserver(() => say(document.body)).observe(document.body, { childList: true, subtree: true });
});
