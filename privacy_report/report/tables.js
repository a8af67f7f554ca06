// Tables: the variants are sorted by a click; privacy.csv is filtered, sorted and downloaded.

/** Turns the headings of a table into buttons that sort by their column. */
function sortable(headings, sort) {
  headings.forEach((heading, place) => {
    const button = Object.assign(document.createElement("button"), {type: "button"});
    button.append(...heading.childNodes);
    for (const term of button.querySelectorAll("a")) { // no link inside a button, which shows its tooltip instead
      button.className = "term";
      button.dataset.tip = term.dataset.tip;
      term.replaceWith(...term.childNodes);
    }
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      headings.forEach(other => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      sort(place, down ? -1 : 1, heading);
    });
  });
}

const compare = (a, b) => a === b ? 0 : a === null || a === "" ? 1 : b === null || b === "" ? -1 : a < b ? -1 : 1;
/** What is missing comes last, in either direction. */
const ordered = (a, b, sign) => a === null || b === null ? compare(a, b) : sign * compare(a, b);

function sortVariants() {
  const table = document.querySelector(".variants"), headings = [...table.tHead.rows[0].cells];
  sortable(headings, (place, sign, heading) => {
    const value = body => {
      const text = body.rows[0].cells[place].dataset.value;
      return heading.dataset.sort === "text" ? text : text === "" || isNaN(text) ? null : Number(text);
    };
    const own = [...table.tBodies].filter(body => !body.dataset.twinOf);
    for (const body of own.sort((a, b) => ordered(value(a), value(b), sign)))
      table.append(body, ...[...table.tBodies].filter(twin => twin.dataset.twinOf === body.id.slice(4)));
  });
  at("twins")?.addEventListener("change", event => table.classList.toggle("all", event.target.checked));
}

const FILTERS = ["variant", "epoch", "attack", "slice", "leaks"];
const listing = {rows: [], sort: null, sign: 1, most: ROWS};
const shownColumns = () => Object.keys(column).filter(name => !/_(low|high)$/.test(name));

function list() {
  const wanted = FILTERS.map(name => [column[name], at("t-" + name).value]).filter(([, value]) => value !== "");
  listing.rows = column.variant.map((_, row) => row).filter(row => wanted.every(([cells, value]) => String(cells[row]) === value));
  const by = column[listing.sort];
  if (by) listing.rows.sort((a, b) => ordered(by[a], by[b], listing.sign));
  const cell = (name, row) => (name + "_low") in column ? withInterval(row, name) : column[name][row] ?? "-";
  at("table").tBodies[0].replaceChildren(...listing.rows.slice(0, listing.most).map(row => {
    const line = document.createElement("tr");
    for (const name of shownColumns()) line.insertCell().textContent = cell(name, row);
    return line;
  }));
  at("t-count").textContent = `${count(Math.min(listing.most, listing.rows.length))} of ${count(listing.rows.length)} rows shown.`;
  at("t-more").hidden = listing.rows.length <= listing.most;
}

/** The rows as privacy.csv has them, with at least five significant digits. */
function csv() {
  const quoted = value => value === null ? "" : /[",\n]/.test(value) ? `"${String(value).replaceAll('"', '""')}"` : String(value);
  const names = Object.keys(column);
  return [names.join(","), ...listing.rows.map(row => names.map(name => quoted(column[name][row])).join(","))].join("\n") + "\n";
}

function numbers() {
  for (const name of FILTERS.filter(one => one !== "leaks")) {
    option(at("t-" + name), "", "all");
    for (const value of distinct(column[name])) option(at("t-" + name), value);
  }
  const head = at("table").tHead.insertRow();
  for (const name of shownColumns()) {
    const heading = {scope: "col", textContent: name.replaceAll("_", " ")};
    head.append(Object.assign(document.createElement("th"), heading));
  }
  sortable([...head.cells], (place, sign) => { listing.sort = shownColumns()[place]; listing.sign = sign; list(); });
  for (const name of FILTERS) at("t-" + name).addEventListener("change", () => { listing.most = ROWS; list(); });
  at("t-more").addEventListener("click", () => { listing.most += 4 * ROWS; list(); });
  at("download").addEventListener("click", () => {
    const href = URL.createObjectURL(new Blob([csv()], {type: "text/csv"}));
    const link = Object.assign(document.createElement("a"), {download: "privacy.csv", href});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
  list();
}
