for (const box of document.querySelectorAll(".latents")) {
  const input = box.querySelector("input");
  if (!input || input.dataset.ready) continue;
  input.dataset.ready = "yes";
  const latents = [...box.querySelectorAll("details.latent")];
  const more = box.querySelector(".more");
  const support = box.querySelector("select.filter, select[aria-label=support]");
  const look = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = support ? support.value : "";
    let shown = 0;
    for (const latent of latents) {
      const text = latent.textContent.toLowerCase();
      latent.hidden = !words.every((word) => text.includes(word)) || (wanted && latent.dataset.support !== wanted);
      shown += !latent.hidden;
    }
    const asked = words.length > 0 || wanted !== "";
    if (more) more.open = asked;
    box.querySelector(".found").textContent = asked ? `${shown} of ${latents.length}` : "";
  };
  input.addEventListener("input", look);
  if (support) support.addEventListener("change", look);
}
