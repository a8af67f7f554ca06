// Controls: what they change, the address that keeps it, and the start of everything.

const epochs = () => distinct(all.variants.flatMap(one => one.epochs)).sort((a, b) => a - b);
const nearest = (values, wanted) => {
  const off = one => Math.abs(Math.log(one / wanted));
  return values.reduce((best, one) => off(one) < off(best) ? one : best);
};

function readAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (!location.hash.includes("=")) return false;
  for (const name of Object.keys(state).filter(one => given.has(one)))
    state[name] = typeof state[name] === "number" ? Number(given.get(name)) : given.get(name);
  if (!(state.epoch > 0)) state.epoch = epochs()[0];
  state.epoch = nearest(epochs(), state.epoch);
  state.fpr = nearest(all.rates, state.fpr > 0 ? state.fpr : 0.01);
  for (const name of ["attack", "slice", "measure"])
    if (![...at(name).options].some(one => one.value === state[name])) state[name] = at(name).options[0].value;
  const wanted = state.variants.split(",");
  if (all.variants.some(one => wanted.includes(one.name))) all.variants.forEach(one => { one.on = wanted.includes(one.name); });
  return true;
}

function writeAddress() {
  state.variants = shown().map(one => one.name).join(",");
  history.replaceState(null, "", "#" + new URLSearchParams(state));
}

function showState() {
  at("epoch").value = epochs().indexOf(state.epoch);
  at("epoch").setAttribute("aria-valuetext", `epoch ${state.epoch}`);
  at("epoch-now").textContent = state.epoch;
  at("fpr").value = all.rates.indexOf(state.fpr);
  at("fpr").setAttribute("aria-valuetext", level(state.fpr));
  at("fpr-now").textContent = level(state.fpr);
  for (const name of ["attack", "slice", "measure"]) at(name).value = state[name];
  for (const button of at("legend").querySelectorAll("button"))
    button.setAttribute("aria-pressed", all.variants.find(one => one.name === button.value).on);
  const paragraph = text => Object.assign(document.createElement("p"), {textContent: text});
  at("sentence").replaceChildren(...sentences().map(paragraph));
  at("scores-of").textContent = ": " + shown()[0].label;
}

async function change(changes, names = Object.keys(DATA)) {
  Object.assign(state, changes);
  writeAddress();
  showState();
  await draw(names);
}

/** A click shows a variant alone; a click on the only one shows all again. With a modifier key it is added. */
function choose(name, add) {
  const alone = shown().length === 1 && shown()[0].name === name;
  for (const one of all.variants) one.on = alone ? one.start : add ? one.on !== (one.name === name) : one.name === name;
  if (!shown().length) all.variants.forEach(one => { one.on = one.start; });
  change({});
}

function option(select, value, text = value) { select.append(new Option(text, value)); }

function controls() {
  for (const [value, text] of Object.entries(STRONGEST)) option(at("attack"), value, text);
  for (const [kind, holds] of Object.entries(all.holds)) {
    const names = all.attacks.filter(one => one.kind === kind);
    const group = Object.assign(document.createElement("optgroup"), {label: holds});
    for (const {name} of names) group.append(new Option(name, name));
    if (names.length) at("attack").append(group);
  }
  for (const slice of distinct(column.slice))
    option(at("slice"), slice, slice in all.classes ? `${slice} (${all.classes[slice]})` : slice);
  at("epoch").max = epochs().length - 1;
  at("fpr").max = all.rates.length - 1;
  for (const one of all.variants) {
    const title = "Show this variant alone; with Ctrl, add or remove it";
    const button = Object.assign(document.createElement("button"), {type: "button", value: one.name, title});
    const dot = Object.assign(document.createElement("span"), {className: "dot"});
    dot.style.setProperty("--tint", one.color);
    button.append(dot, " " + one.label);
    button.addEventListener("click", event => choose(one.name, event.ctrlKey || event.metaKey || event.shiftKey));
    at("legend").append(button);
  }
  at("epoch").addEventListener("input", event => change({epoch: epochs()[event.target.value]}));
  at("fpr").addEventListener("input", event => change({fpr: all.rates[event.target.value]}, OF_RATE));
  for (const name of ["attack", "slice", "measure"])
    at(name).addEventListener("change", event => change({[name]: event.target.value}));
  addEventListener("hashchange", () => { if (readAddress()) { showState(); draw(Object.keys(DATA)); } });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", async () => { await embed(); draw(Object.keys(DATA)); });
}

/** Paper cannot be unfolded: what is folded is printed, and a link opens what it leads into. */
function folds() {
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach(one => { one.open = true; }));
  const open = () => {
    const target = at(location.hash.slice(1)), fold = target?.closest("details");
    if (!fold) return;
    fold.open = true;
    target.scrollIntoView();
  };
  addEventListener("hashchange", open);
  open();
}

async function start() {
  folds();
  all = JSON.parse(await unpack("contents"));
  readTable(all.table);
  for (const one of all.variants) one.start = one.on = !one.twin || all.variants.every(other => other.twin);
  Object.assign(state, {epoch: nearest(epochs(), all.start.epoch || 1), fpr: nearest(all.rates, 0.01)});
  controls();
  readAddress();
  sortVariants();
  numbers();
  const textContent = `(() => {${await unpack("vega")}})()`; // in a function, so that its names are its own
  const script = Object.assign(document.createElement("script"), {textContent});
  document.head.append(script);
  document.documentElement.classList.add("js"); // from here on the views stand in for the pictures
  showState();
  await embed();
  await draw(Object.keys(DATA));
  document.documentElement.dataset.ready = "yes";
}

start().catch(error => { document.documentElement.classList.remove("js"); console.error(error); });
