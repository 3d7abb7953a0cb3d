// Measures drawn: shares as bars, periods as columns, everything else as figures.

import { element } from "./answer.js";

const SHOWN = 8;
const DURATIONS = new Set(["median", "p90"]);

/** A card for the figures of one measure; null where there are none. */
export function widget({ measure, repositories, figures, coverage, n }) {
  if (!figures) return null;
  const card = element("figure", { className: "widget" });
  card.append(element("figcaption", {}, element("strong", {}, title(measure)), ` ${repositories.join(", ")}`, element("small", {}, `${window_(coverage)} [${n}]`)));
  const plain = Object.entries(figures).filter(([, value]) => value !== null && typeof value !== "object");
  card.append(tiles(plain));
  if (Array.isArray(figures.people)) card.append(bars(figures.people, figures.factor ?? 0, coverage));
  else if (Array.isArray(figures.periods) && figures.periods.length > 1) card.append(columns(figures.periods));
  return card;
}

function title(measure) {
  const words = measure.replaceAll("_", " ");
  return words[0].toUpperCase() + words.slice(1);
}

function window_({ since, until }) {
  if (!since || !until) return "";
  const last = new Date(`${until}T00:00:00Z`);
  last.setUTCDate(last.getUTCDate() - 1);
  return `${since} to ${last.toISOString().slice(0, 10)}`;
}

function tiles(entries) {
  const list = element("dl", { className: "tiles" });
  for (const [name, value] of entries) {
    list.append(element("div", {}, element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, shown(name, value))));
  }
  return list;
}

function shown(name, value) {
  if (typeof value !== "number") return String(value);
  if (DURATIONS.has(name)) return duration(value);
  if (/share|ratio|change|confidence/.test(name)) return `${Math.round(value * 100)} %`;
  return value.toLocaleString("en", { maximumFractionDigits: 1 });
}

function duration(seconds) {
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 129600) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
}

/** The busiest people; those who together reach half stand out. */
function bars(people, half) {
  const list = element("ol", { className: "bars" });
  const most = Math.max(...people.map((one) => one.share), 0.01);
  people.slice(0, SHOWN).forEach(({ person, contributions, share }, place) => {
    const bar = element("span", { className: "bar" });
    bar.style.width = `${Math.max((share / most) * 100, 1)}%`;
    const percent = `${Math.round(share * 100)} %`;
    const row = element("li", { className: place < half ? "half" : "" });
    row.append(element("span", { className: "who" }, person), element("span", { className: "track" }, bar), element("span", { className: "much" }, `${contributions} · ${percent}`));
    list.append(row);
  });
  if (people.length > SHOWN) list.append(element("li", { className: "more" }, `and ${people.length - SHOWN} more`));
  return list;
}

function columns(periods) {
  const list = element("ol", { className: "columns" });
  const most = Math.max(...periods.map((one) => one.contributions), 1);
  for (const { first_day, contributions } of periods) {
    const column = element("span", { className: "column" });
    column.style.height = `${Math.max((contributions / most) * 100, 1)}%`;
    list.append(element("li", { title: `${first_day}: ${contributions}` }, column, element("span", { className: "unseen" }, `${first_day}: ${contributions}`)));
  }
  return list;
}
