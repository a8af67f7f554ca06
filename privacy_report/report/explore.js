"use strict";
// Explore: views of one state, which the address keeps (#epoch=50&attack=rmia&fpr=0.001). Nothing is fetched:
// Vega-Lite and the data are packed in this page. Where anything here fails, the static pictures stay.

const at = id => document.getElementById(id);
const STRONGEST = {strongest: "Strongest attack", "strongest on outputs": "Strongest on outputs"};
const CHANCE = {auc: 0.5, advantage: 0, tpr_at_1pct_fpr: 0.01};
const ROWS = 50; // of the table at once
const state = {epoch: 0, attack: "strongest", slice: "entire dataset", measure: "advantage", fpr: 0.01, variants: ""};
const charts = {}; // name -> Vega's view
let hovered = ""; // the key of the checkpoint that the pointer is on
let all, column, rowAt; // the page's contents, the columns of privacy.csv, and the row of a place in them

// ---------------------------------------------------------------- data

async function unpack(id) {
  const bytes = Uint8Array.from(atob(at(id).textContent), character => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function readTable(table) {
  const texts = ({texts, places}) => places.map(place => texts[place]);
  column = Object.fromEntries(Object.entries(table)
    .map(([name, cells]) => [name, Array.isArray(cells) ? cells : texts(cells)]));
  rowAt = new Map();
  column.variant.forEach((variant, row) =>
    rowAt.set([variant, column.epoch[row], column.attack[row], column.slice[row]].join("|"), row));
}

const shown = () => all.variants.filter(one => one.on);
// The checkpoint of a variant that stands for the chosen epoch: the last one not after it.
const checkpoint = variant => variant.epochs.findLast(epoch => epoch <= state.epoch) ?? variant.epochs[0];

/** The names of the attacks that the chosen attacker may make; where none sees all outputs, all count. */
function candidates(variant) {
  if (!(state.attack in STRONGEST)) return [state.attack];
  const wanted = one => (one.full || variant.less) && (one.kind === "outputs" || (state.attack === "strongest" && one.kind !== "placebo"));
  return all.attacks.filter(wanted).map(one => one.name);
}

const rowIn = (run, epoch, attack, slice) => rowAt.get([run, epoch, attack, slice].join("|")) ?? -1;
const shownIn = (...place) => column[state.measure][rowIn(...place)] ?? null;

/** Of a variant with several seeds, the chosen attacks that measured all runs, as in the static picture. */
function shared(variant, epoch, slice) {
  if (variant.runs.length < 2) return [];
  return candidates(variant).filter(attack => variant.runs.every(run => shownIn(run, epoch, attack, slice) !== null));
}

/** The row of privacy.csv that the chosen attacker has at a checkpoint, -1 without one. The strongest has the
 *  highest AUC; with several seeds it is the strongest in the shown measure, as in the static picture. */
function rowOf(variant, epoch, slice = state.slice) {
  if (!(state.attack in STRONGEST)) return rowIn(variant.name, epoch, state.attack, slice);
  const ofAll = shared(variant, epoch, slice), by = column[ofAll.length ? state.measure : "auc"];
  let best = -1;
  for (const name of ofAll.length ? ofAll : candidates(variant)) {
    const here = rowIn(variant.name, epoch, name, slice);
    if (here >= 0 && by[here] !== null && (best < 0 || by[here] > by[best])) best = here;
  }
  return best;
}

const number = (value, rate) => value === null ? "-" : rate ? (100 * value).toFixed(2) + "%" : value.toFixed(3);
const level = rate => rate > 0 && rate < 0.001 ? (100 * rate).toPrecision(2) + "%" : number(rate, true);
const count = value => Math.round(value).toLocaleString("en");

function withInterval(row, name) {
  const rate = name.startsWith("tpr");
  const [value, low, high] = ["", "_low", "_high"].map(end => (column[name + end] ?? [])[row] ?? null);
  return number(value, rate) + (low === null || high === null ? "" : ` (${number(low, rate)} to ${number(high, rate)})`);
}

/** The ends of a point's band: of its interval, or of the runs with other seeds, where there are some. */
function ends(variant, epoch, row) {
  const name = state.measure, slice = column.slice[row], attacks = shared(variant, epoch, slice);
  if (!attacks.length) return {low: column[name + "_low"][row], high: column[name + "_high"][row]};
  const values = variant.runs.map(run => Math.max(...attacks.map(attack => shownIn(run, epoch, attack, slice))));
  return {low: Math.min(...values), high: Math.max(...values)};
}

function point(variant, epoch, row) {
  const name = state.measure, leak = column.leaks[row] === "yes";
  return {
    variant: variant.label, epoch, key: variant.name + "|" + epoch, attack: column.attack[row],
    chosen: epoch === checkpoint(variant), val_accuracy: column.val_accuracy[row],
    value: column[name][row], ...ends(variant, epoch, row),
    value_text: withInterval(row, name), leak, leak_text: leak ? "detected" : "none detected",
  };
}

function points() {
  return shown().flatMap(variant => variant.epochs
    .map(epoch => [epoch, rowOf(variant, epoch)])
    .filter(([, row]) => row >= 0 && column[state.measure][row] !== null)
    .map(([epoch, row]) => point(variant, epoch, row)));
}

/** The checkpoints for which no other is as accurate and leaks less. */
function front(found) {
  const kept = [];
  for (const one of [...found].sort((a, b) => b.val_accuracy - a.val_accuracy || a.value - b.value))
    if (one.val_accuracy !== null && (!kept.length || one.value < kept.at(-1).value)) kept.push(one);
  return kept.reverse();
}

const distinct = values => [...new Set(values.filter(value => value !== undefined))];
/** The policy's limits on what is shown: it has some for the entire dataset, and for the advantage on classes. */
const limitsOn = name => distinct(shown().map(one => one.limits[name]));
const ofClass = () => (state.measure === "advantage" ? limitsOn("class_advantage") : []);
const limits = () => (state.slice === "entire dataset" ? limitsOn(state.measure) : state.slice.startsWith("class=") ? ofClass() : []);

function lines(ofClasses) {
  const limit = ofClasses ? ofClass() : limits();
  return [{kind: "chance", at: CHANCE[state.measure]}, ...limit.map(value => ({kind: "limit", at: value}))];
}

/** The ROC curve on the grid of rates that an attacker has at a checkpoint: [false, true] rates, or nothing. */
function curveOf(variant) {
  const epoch = checkpoint(variant), row = rowOf(variant, epoch, "entire dataset"), attack = column.attack[row];
  return row < 0 ? null : {row, epoch, attack, rates: all.curves[[variant.name, epoch, attack].join("|")]};
}

function roc() {
  return shown().flatMap(variant => {
    const curve = curveOf(variant);
    if (!curve?.rates) return [];
    const {epoch, attack, rates} = curve;
    return rates[0].map((fpr, place) => ({variant: variant.label, epoch, attack, fpr, tpr: rates[1][place]}))
      .filter(({fpr, tpr}) => fpr > 0 && tpr > 0);
  });
}

/** One variant's members and non-members, counted between the rates of the grid. */
function scores() {
  const variant = shown()[0], curve = variant && curveOf(variant);
  if (!curve?.rates) return [];
  const bins = [], step = 3, lowest = all.rates[0] / 2;
  for (let end = 0, last = -1; end < all.rates.length; last = end, end += step)
    ["members", "non-members"].forEach((side, which) => {
      const rates = curve.rates[1 - which], share = rates[end] - (last < 0 ? 0 : rates[last]);
      const low = last < 0 ? lowest : all.rates[last], high = all.rates[end];
      const n = column[which ? "n_nonmember" : "n_member"][curve.row];
      const range = `${level(last < 0 ? 0 : low)} to ${level(high)}`;
      bins.push({variant: variant.label, side, share, low, high, count: count(share * n), range});
    });
  return bins;
}

function classes() {
  const found = [];
  for (const [slice, name] of Object.entries(all.classes)) {
    for (const variant of shown()) {
      const epoch = checkpoint(variant), row = rowOf(variant, epoch, slice);
      const members = row < 0 ? "" : `${count(column.n_member[row])} / ${count(column.n_nonmember[row])}`;
      if (row >= 0 && column[state.measure][row] !== null)
        found.push({...point(variant, epoch, row), class: name, members});
    }
  }
  const worst = new Map();
  for (const one of found) worst.set(one.class, [...(worst.get(one.class) ?? []), one]);
  const by = rows => Math.max(...rows.map(one => one.value));
  return [...worst.values()].sort((a, b) => by(b) - by(a)).slice(0, 25).flat();
}

const epsilon = () => all.epsilon.flatMap(one => {
  const variant = shown().find(other => other.name === one.name);
  return variant ? [{...one, variant: variant.label}] : [];
});

// ---------------------------------------------------------------- views

/** Which data each view shows, by name; a view without any says so instead. */
const DATA = {
  by_epoch: () => { const found = points(); return {points: found, lines: lines(false)}; },
  trade_off: () => {
    const found = points().filter(one => one.val_accuracy !== null);
    return {points: found, lines: lines(false), front: front(found), region: limits().map(value => ({at: value}))};
  },
  roc: () => ({points: roc()}),
  scores: () => ({points: scores()}),
  classes: () => ({points: classes(), lines: lines(true)}),
  epsilon: () => ({points: epsilon()}),
};
const EMPTY = {
  by_epoch: "This attacker was not tried on these examples. Choose another attacker or other examples.",
  trade_off: "This attacker was not tried on these examples, or no validation accuracy is known.",
  roc: "This attacker was not tried at this epoch. Choose another attacker or a later epoch.",
  scores: "This attacker was not tried at this epoch. Choose another attacker or a later epoch.",
  classes: "No class was measured for this attacker at this epoch.",
  epsilon: "None of the shown variants claims an epsilon.",
};
const OF_RATE = ["roc", "scores"]; // the only views that a new false-positive rate changes

async function draw(names) {
  await Promise.all(names.map(name => {
    const view = charts[name];
    if (!view) return null;
    const data = DATA[name](), empty = !data.points.length;
    at("view-" + name).hidden = empty;
    empties(name, empty);
    if (empty) return null;
    for (const [source, rows] of Object.entries(data)) view.data(source, rows);
    if (name === "classes") view.height(24 * distinct(data.points.map(one => one.class)).length);
    return signals(view, {epoch: state.epoch, fpr: state.fpr, percent: state.measure.startsWith("tpr")}).runAsync();
  }));
}

function signals(view, values) {
  const known = view.getState().signals;
  for (const [name, value] of Object.entries(values)) if (name in known) view.signal(name, value);
  return view;
}

function empties(name, empty) {
  const note = at("view-" + name).parentElement.querySelector(".missing") ?? document.createElement("p");
  note.className = "missing live";
  note.textContent = empty ? EMPTY[name] : "";
  at("view-" + name).after(note);
}

function ink(name) { return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim(); }

/** A specification in the colours of the page, light or dark. */
function themed(spec) {
  const text = JSON.stringify(spec).replaceAll('"#555"', JSON.stringify(ink("soft")))
    .replaceAll('"var(--paper)"', JSON.stringify(ink("paper")));
  const words = {labelColor: ink("ink"), titleColor: ink("ink"), labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal"};
  const axis = {gridColor: ink("grid"), domainColor: ink("grid"), tickColor: ink("grid"), ...words};
  return {...JSON.parse(text), background: null, config: {font: "system-ui, sans-serif", view: {stroke: null}, axis}};
}

async function embed() {
  const theme = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const options = {actions: false, renderer: "svg", logLevel: 1, tooltip: {theme}};
  await Promise.all(Object.entries(all.views).map(async ([name, spec]) => {
    const place = at("view-" + name);
    if (!place) return;
    place.hidden = false;
    charts[name] = (await vegaEmbed(place, {...themed(spec), datasets: DATA[name]()}, options)).view;
    if (["by_epoch", "trade_off"].includes(name)) {
      // The ring appears between the pointer and its mark, which Vega says the pointer has left then. So what
      // counts is the mark that the pointer moves over.
      charts[name].addEventListener("mousemove", (_, item) => hover(item?.datum));
      place.addEventListener("mouseleave", () => hover(null));
    }
  }));
}

/** The checkpoint that the pointer is on is ringed in all views, and its numbers stand in one line. */
function hover(datum) {
  const key = datum?.key ?? "";
  if (key === hovered) return;
  hovered = key;
  for (const name of ["by_epoch", "trade_off"]) if (charts[name]) signals(charts[name], {hover: key}).runAsync();
  if (!key) return;
  const variant = all.variants.find(one => key.startsWith(one.name + "|")), row = rowOf(variant, datum.epoch);
  const recommended = variant.recommended === datum.epoch ? " (recommended)" : "";
  at("card").textContent = `${variant.label}, epoch ${datum.epoch}${recommended}: ` +
    `accuracy ${number(column.val_accuracy[row])}, advantage ${withInterval(row, "advantage")}, ` +
    `AUC ${withInterval(row, "auc")}, found at 1% FPR ${withInterval(row, "tpr_at_1pct_fpr")}; ` +
    `by ${column.attack[row]}, ${column.leaks[row] === "yes" ? "leak detected" : "no leak detected"}.`;
}

/** What the chosen false-positive rate means in people, for each shown variant. */
function sentences() {
  const place = all.rates.indexOf(state.fpr);
  return shown().slice(0, 6).map(variant => {
    const curve = curveOf(variant);
    if (!curve?.rates) return `${variant.label}: not attacked at epoch ${checkpoint(variant)}.`;
    const n = [column.n_nonmember[curve.row], column.n_member[curve.row]];
    const found = [0, 1].map(side => curve.rates[side][place] * n[side]);
    const scored = found.every(value => Math.abs(value - Math.round(value)) <= 0.02 + 1e-5 * value);
    const about = scored ? "" : "about "; // not all examples were scored
    return `${variant.label}, epoch ${curve.epoch}, ${curve.attack}: names ${about}${count(found[1])} of ` +
      `${count(n[1])} members and wrongly accuses ${about}${count(found[0])} of ${count(n[0])}.`;
  });
}
