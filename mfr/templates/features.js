for (const box of document.querySelectorAll(".latents")) {
  const input = box.querySelector("input");
  if (!input || input.dataset.ready) continue;
  input.dataset.ready = "yes";
  const latents = [...box.querySelectorAll("details.latent")];
  const more = box.querySelector(".more");
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const latent of latents) {
      const text = latent.textContent.toLowerCase();
      latent.hidden = !words.every((word) => text.includes(word));
      shown += !latent.hidden;
    }
    if (more) more.open = words.length > 0;
    box.querySelector(".found").textContent = words.length ? `${shown} of ${latents.length}` : "";
  });
}
