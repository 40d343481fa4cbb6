const dialog = document.querySelector("dialog");
const enlarged = dialog.querySelector("img");
for (const button of document.querySelectorAll(".enlarge")) {
  button.addEventListener("click", () => {
    const image = button.querySelector("img");
    enlarged.src = image.src;
    enlarged.alt = image.alt;
    enlarged.className = image.className;
    dialog.showModal();
  });
}
dialog.addEventListener("click", () => dialog.close());
