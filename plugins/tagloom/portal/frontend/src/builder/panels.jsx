// What stands beside the rule: size, words, SQL, composition; and below it: consent, suppression, chance.
import { useState } from "react";
import { FieldPicker } from "./fields.jsx";
import { useAnswer } from "./preview.js";
import { t } from "./texts.js";

const language = () => document.documentElement.lang || "en";
export const number = (value) => (value === null || value === undefined ? "–" : new Intl.NumberFormat(language()).format(value));
const percent = (value, digits = 1) => (value === null || value === undefined ? "–" : new Intl.NumberFormat(language(), { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value));

export function Size({ state, unfinished }) {
  const { answer, problems, pending } = state;
  const size = answer?.size;
  return (
    <section className="card size-card" aria-busy={pending}>
      <header className="card-head"><h2>{t("Size")}</h2><p className="quiet">{answer ? t("of {population} persons, data through {day}", { population: number(size.population), day: answer.day }) : ""}</p></header>
      <p className={`size-number${pending || problems.length ? " waiting" : ""}`} role="status" aria-live="polite" aria-atomic="true">
        <strong data-size>{size ? size.text : "…"}</strong> <span>{t("persons")}</span>
      </p>
      {size?.share !== null && size?.share !== undefined && (
        <span className="meter"><span className="meter-track" aria-hidden="true"><span className="meter-fill" style={{ inlineSize: `${100 * size.share}%` }} /></span><span className="meter-text">{percent(size.share)}</span></span>
      )}
      {size?.steps?.length > 0 && <dl className="steps-down">{size.steps.map((step) => <div key={step.label}><dt>{step.label}</dt><dd>{step.text}</dd></div>)}</dl>}
      {unfinished > 0 && <p className="help">{unfinished === 1 ? t("One condition is not finished and does not count yet.") : t("{count} conditions are not finished and do not count yet.", { count: unfinished })}</p>}
      {problems.length > 0 && <div className="notice bad" role="alert">{problems.map((problem) => <p key={problem.path + problem.message}>{problem.message}</p>)}</div>}
    </section>
  );
}

/** The size at the foot of a small screen, where the card itself is far below the rule. */
export function SizeBar({ state }) {
  const size = state.answer?.size;
  if (!size) return null;
  return <div className={`size-bar${state.pending ? " waiting" : ""}`} aria-hidden="true"><strong>{size.text}</strong> <span>{t("persons")}</span>{size.share_text && <span className="quiet">{size.share_text}</span>}</div>;
}

export function Words({ answer }) {
  if (!answer) return null;
  return (
    <section className="card">
      <header className="card-head"><h2>{t("In words")}</h2></header>
      <p className="sentence">{answer.sentence}</p>
      <details className="fold"><summary>{t("SQL")}</summary><pre tabIndex={0}><code>{answer.sql}</code></pre></details>
    </section>
  );
}

/** Bars of an audience beside the whole population: the mark is where everybody is. */
export function Bars({ cells }) {
  const most = Math.max(0.0001, ...cells.flatMap((cell) => [cell.share ?? 0, cell.population_share ?? 0]));
  return (
    <table className="bars">
      <thead><tr><th scope="col">{t("Tag value")}</th><th scope="col">{t("Share of members")}</th><th scope="col" className="number">{t("Lift")}</th></tr></thead>
      <tbody>
        {cells.map((cell, place) => (
          <tr key={`${cell.label}-${place}`}>
            <th scope="row">{cell.label}</th>
            <td>
              <span className="bar-line" aria-hidden="true">
                <span className={`bar-fill${cell.significant ? (cell.lift > 1 ? " more" : " less") : ""}`} style={{ inlineSize: `${(100 * (cell.share ?? 0)) / most}%` }} />
                {cell.population_share !== null && <span className="bar-mark" style={{ insetInlineStart: `${(100 * cell.population_share) / most}%` }} />}
              </span>
              <span className="bar-text">{cell.share === null ? "< 10" : percent(cell.share)}<span className="quiet"> / {percent(cell.population_share)}</span></span>
            </td>
            <td className="number">{cell.lift === null ? "–" : `${cell.lift.toFixed(2)}×`}{cell.significant && <span className="significant" title={t("Hardly by chance: p = {p} after Holm's correction", { p: cell.probability < 0.001 ? "< 0.001" : cell.probability.toFixed(3) })}> ●<span className="hidden-text">{t("significant")}</span></span>}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function Composition({ definition, tags, first }) {
  const [tag, setTag] = useState(first);
  const state = useAnswer("/audiences/composition", tag ? { definition, tag: tag.replace(/^tag:/, "") } : null);
  return (
    <section className="card composition" aria-busy={state.pending}>
      <header className="card-head"><h2>{t("What it is made of")}</h2></header>
      <FieldPicker fields={tags} value={tag} onChange={setTag} label={t("Compare by tag")} />
      {state.answer && !state.problems.length && <><Bars cells={state.answer.cells} /><p className="help">{t("The mark is the share among everybody. A dot: hardly by chance.")}</p></>}
    </section>
  );
}

export function Settings({ definition, set, consents }) {
  const parts = definition.split?.parts ?? null;
  const total = parts?.reduce((sum, part) => sum + (Number(part.percent) || 0), 0) ?? 100;
  const setPart = (place, change) => set({ split: { parts: parts.map((part, position) => (position === place ? { ...part, ...change } : part)) } }, true);
  return (
    <section className="card settings">
      <header className="card-head"><h2>{t("Consent and chance")}</h2></header>
      <div className="settings-grid">
        <div className="field">
          <label htmlFor="consent">{t("Reachable by")}</label>
          <select id="consent" value={definition.consent} onChange={(event) => set({ consent: event.target.value })}>{consents.map(([code, text]) => <option key={code} value={code}>{text}</option>)}</select>
          <p className="help">{t("Only who allows the channel and has an address for it.")}</p>
        </div>
        <div className="field">
          <label htmlFor="holdout">{t("Hold out, percent")}</label>
          <input id="holdout" type="number" min="0" max="90" step="1" value={definition.holdout_percent} onChange={(event) => set({ holdout_percent: Math.min(90, Math.max(0, Math.round(Number(event.target.value)) || 0)) }, true)} />
          <p className="help">{t("Kept apart by chance to measure the effect; counted, never exported.")}</p>
        </div>
      </div>
      <div className="check">
        <input type="checkbox" id="suppression" checked={definition.suppression} onChange={(event) => set({ suppression: event.target.checked })} />
        <label htmlFor="suppression">{t("Leave out who objected to advertising")}</label>
      </div>
      <div className="check">
        <input type="checkbox" id="split" checked={Boolean(parts)} onChange={(event) => set({ split: event.target.checked ? { parts: [{ name: "A", percent: 50 }, { name: "B", percent: 50 }] } : null })} />
        <label htmlFor="split">{t("Split by chance, for a test")}</label>
      </div>
      {parts && (
        <div className="parts">
          {parts.map((part, place) => (
            <div key={place} className="part">
              <input type="text" value={part.name} maxLength={40} aria-label={t("Name of part {number}", { number: place + 1 })} onChange={(event) => setPart(place, { name: event.target.value })} />
              <span className="with-unit"><input type="number" min="1" max="99" value={part.percent} className="number-input" aria-label={t("Percent of part {number}", { number: place + 1 })} onChange={(event) => setPart(place, { percent: Math.round(Number(event.target.value)) || 0 })} /><span className="unit">%</span></span>
              {parts.length > 2 && <button type="button" className="button quiet icon small" aria-label={t("Remove part {number}", { number: place + 1 })} onClick={() => set({ split: { parts: parts.filter((_, position) => position !== place) } })}>×</button>}
            </div>
          ))}
          <div className="row">
            {parts.length < 10 && <button type="button" className="button small" onClick={() => set({ split: { parts: [...parts, { name: String.fromCharCode(65 + parts.length), percent: Math.max(1, 100 - total) }] } })}>{t("Add a part")}</button>}
            <span className={total === 100 ? "quiet" : "bad-text"} role="status">{t("{total} % of 100 %", { total })}</span>
          </div>
        </div>
      )}
    </section>
  );
}
