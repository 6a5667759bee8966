"use strict";
const status = document.getElementById("copied");
for (const button of document.querySelectorAll("button")) {
  const label = button.textContent;
  const source = button.previousElementSibling;
  button.hidden = false;
  button.addEventListener("click", async () => {
    let done = true;
    try {
      await navigator.clipboard.writeText(source.textContent);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(source);
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      done = document.execCommand("copy");
    }
    button.textContent = status.textContent = done ? status.dataset.copied : status.dataset.selected;
    setTimeout(() => { button.textContent = label; status.textContent = ""; }, 2000);
  });
}
