const dialog = document.querySelector("dialog");
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const shown = button.closest(".chart") ?? button.querySelector("img");
    dialog.replaceChildren(shown.cloneNode(true));
    dialog.showModal();
  });
}
dialog.addEventListener("click", (event) => {
  if (!event.target.matches(".point")) dialog.close();
});
