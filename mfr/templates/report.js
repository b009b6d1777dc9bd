const all = (what, within = document) => [...within.querySelectorAll(what)];

for (const button of all("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    let copied = true;
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {  // a browser that gives files no clipboard: select the text, and copy what is selected
      getSelection().selectAllChildren(code);
      copied = document.execCommand("copy");
    }
    button.textContent = copied ? "Copied" : "Selected";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

// The stack that is chosen is the one that the code loads.
for (const select of all("[data-stack]")) {
  const choose = () => { document.getElementById("stack").textContent = select.value; };
  select.addEventListener("change", choose);
  choose();
}

// A word that is tapped says what it means, beside itself; without popovers it leads to the end of the page.
const said = document.getElementById("said");
for (const word of said.togglePopover ? all("a.word") : []) {
  word.addEventListener("click", (event) => {
    event.preventDefault();
    said.querySelector("b").textContent = word.textContent;
    said.querySelector("span").textContent = word.title;
    said.togglePopover(true);
    const at = word.getBoundingClientRect();
    const below = at.bottom + 6 + said.offsetHeight < innerHeight;
    said.style.left = `${Math.max(8, Math.min(at.left, document.documentElement.clientWidth - said.offsetWidth - 8))}px`;
    said.style.top = `${below ? at.bottom + 6 : Math.max(8, at.top - said.offsetHeight - 6)}px`;
  });
}
if (said.togglePopover) addEventListener("scroll", () => said.togglePopover(false), { capture: true, passive: true });

// A heading sorts its column: numbers by size, the largest first, and words by the alphabet; what is missing comes last.
function sorted(table, at, down) {
  const value = (row) => row.cells[at].textContent.trim();
  const number = (text) => Number.parseFloat(text.replaceAll(",", ""));
  const rows = [...table.tBodies[0].rows];
  const numeric = rows.every((row) => !value(row) || !Number.isNaN(number(value(row))));
  rows.sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (!one || !other) return (one ? 0 : 1) - (other ? 0 : 1);
    const order = numeric ? number(one) - number(other) : one.localeCompare(other);
    return down ? -order : order;
  });
  table.tBodies[0].append(...rows);
}
for (const table of all(".table table").filter((table) => table.tBodies[0].rows.length > 3)) {
  for (const heading of all("th", table)) {
    const button = document.createElement("button");
    button.className = "sort";
    button.setAttribute("aria-label", `sort by ${heading.textContent.trim()}`);
    heading.append(button);
    heading.addEventListener("click", (event) => {
      if (event.target.closest("a")) return;  // a word, which says what it means
      const down = heading.getAttribute("aria-sort") !== "descending";
      for (const other of all("th", table)) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      sorted(table, heading.cellIndex, down);
    });
  }
}

// A long table can be searched: every word has to be in a row, and support=4 means that cell.
for (const fold of all("details.all")) {
  const table = fold.querySelector("table");
  const names = all("th", table).map((th) => th.textContent.toLowerCase().replace(/\s/g, ""));
  const input = document.createElement("input");
  Object.assign(input, { type: "search", placeholder: `Search ${table.tBodies[0].rows.length} rows, as in ${names[0]}=4` });
  input.setAttribute("aria-label", "search the table");
  fold.querySelector(".table").before(input);
  const has = (row, word) => {
    const [name, value] = word.split("=");
    const at = names.indexOf(name);
    if (value !== undefined && at >= 0) return row.cells[at].textContent.trim().toLowerCase() === value;
    return row.textContent.toLowerCase().includes(word);
  };
  input.addEventListener("input", () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const row of table.tBodies[0].rows) row.hidden = !words.every((word) => has(row, word));
  });
}

// What is wider than its box says so, and fades where there is more of it.
for (const box of all(".table, .scroll")) {
  const look = () => {
    const hidden = box.scrollWidth - box.clientWidth;
    box.toggleAttribute("data-wide", hidden > 1);
    box.toggleAttribute("data-more", hidden - box.scrollLeft > 1);
  };
  box.addEventListener("scroll", look, { passive: true });
  new ResizeObserver(look).observe(box);
}

// A link to a part, or to a word, opens what it stands in.
function reveal() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let element = target; element; element = element.parentElement) {
    if (element.tagName === "DETAILS") element.open = true;
  }
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", reveal);
for (const link of all("nav a, #said a")) link.addEventListener("click", () => setTimeout(reveal));  // once more, too
if (location.hash) reveal();

for (const button of all("[data-open]")) {
  button.addEventListener("click", () => { for (const part of all("details.part")) part.open = Boolean(button.dataset.open); });
}

// Paper has everything open, and the screen afterwards what it had before.
let closed = [];
addEventListener("beforeprint", () => {
  closed = all("details.part, details.all, details.more").filter((part) => !part.open);
  for (const part of closed) part.open = true;
});
addEventListener("afterprint", () => { for (const part of closed) part.open = false; });
