for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const code = button.parentElement.querySelector("code");
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {  // a browser that gives files no clipboard: select the text, and copy what is selected
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
}

// A heading sorts its column: numbers by size, the largest first, and words by the alphabet; what is missing comes last.
function sorted(table, at, down) {
  const value = (row) => row.cells[at].textContent.trim();
  const number = (text) => Number(text.replaceAll(",", ""));
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
for (const table of document.querySelectorAll(".table table")) {
  for (const heading of table.querySelectorAll("th")) {
    heading.tabIndex = 0;
    const sort = () => {
      const down = heading.getAttribute("aria-sort") !== "descending";
      for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      sorted(table, heading.cellIndex, down);
    };
    heading.addEventListener("click", (event) => { event.preventDefault(); sort(); });
    heading.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  }
}

// A long table can be searched: every word has to be in a row, and support=4 means that cell.
for (const all of document.querySelectorAll("details.all")) {
  const table = all.querySelector("table");
  const names = [...table.querySelectorAll("th")].map((th) => th.textContent.toLowerCase().replace(/\s/g, ""));
  const input = document.createElement("input");
  Object.assign(input, { type: "search", placeholder: `Search ${table.tBodies[0].rows.length} rows, as in ${names[0]}=4` });
  input.setAttribute("aria-label", "search the table");
  all.querySelector(".table").before(input);
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

// A link to a part, or to a word, opens what it stands in; printing opens every part.
function reveal() {
  let element = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const target = element;
  for (; element; element = element.parentElement) {
    if (element.tagName === "DETAILS") element.open = true;
  }
  if (target) target.scrollIntoView();
}
addEventListener("hashchange", reveal);
addEventListener("beforeprint", () => {
  document.querySelectorAll("details.part, details.all").forEach((part) => { part.open = true; });
});
if (location.hash) reveal();
