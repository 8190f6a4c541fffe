// Editors of a condition's value, one for each kind of field and operator.
import { useEffect, useId, useRef, useState } from "react";
import { request } from "../http.js";
import { Listbox, matching, useOutside } from "./listbox.jsx";
import { fitted, WITH_DAYS, WITH_LIST, WITH_TWO, WITHOUT_VALUE } from "./rules.js";
import { t } from "./texts.js";

const WAIT = 180;

/** Values that begin with or contain a text, as the published version has them. */
function useSuggestions(path, text, wanted) {
  const [found, setFound] = useState([]);
  useEffect(() => {
    if (!wanted || !path) return undefined;
    const stop = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const answer = await request(`${path}&q=${encodeURIComponent(text.trim())}`, { signal: stop.signal });
        setFound(answer.values);
      } catch (error) {
        if (error.name !== "AbortError") setFound([]);
      }
    }, WAIT);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [path, text, wanted]);
  return found;
}

/** Chosen values as chips, with a search for more. `known`: [[value, label]] or null when they are asked for at `path`. */
export function Chips({ values, onChange, known, path, label, free = false, single = false, placeholder }) {
  const [open, show] = useState(false);
  const [text, setText] = useState("");
  const inside = useRef(null);
  useOutside(inside, () => { show(false); setText(""); });
  const found = useSuggestions(path, text, open && !known);
  const labels = new Map((known ?? found).map(([value, shown]) => [String(value), shown]));
  const chosen = new Set(values.map(String));
  const offered = (known ?? found).map(([value, shown, note]) => ({ value: String(value), label: shown, words: value, note })).filter((option) => !chosen.has(option.value));
  const options = known ? matching(offered, text) : offered;
  const typed = text.trim();
  if (free && typed && !chosen.has(typed) && !options.some((option) => option.value === typed)) options.push({ value: typed, label: t("Use “{value}”", { value: typed }) });
  const add = (value) => { onChange(single ? [value] : [...values, value]); setText(""); if (single) show(false); };
  const remove = (value) => onChange(values.filter((one) => String(one) !== String(value)));
  return (
    <div className={`chips-field${open ? " open" : ""}`} ref={inside}>
      {values.map((value) => (
        <span key={value} className="value-chip">
          {labels.get(String(value)) ?? String(value)}
          <button type="button" aria-label={t("Remove {value}", { value: labels.get(String(value)) ?? value })} onClick={() => remove(value)}>×</button>
        </span>
      ))}
      <Listbox
        className="chips-input" options={options} open={open} setOpen={show} text={text} setText={setText} label={label} placeholder={values.length ? "" : (placeholder ?? t("Choose values"))} empty={known || typed ? t("Nothing fits.") : ""}
        onChoose={(option) => add(option.value)}
        onKey={(event) => { if (event.key === "Backspace" && !text && values.length) remove(values[values.length - 1]); }}
      />
    </div>
  );
}

function Number_({ value, onChange, label, unit, whole, least, optional = false, placeholder }) {
  return (
    <span className="with-unit">
      <input type="number" inputMode={whole ? "numeric" : "decimal"} step={whole ? 1 : "any"} min={least} value={value ?? ""} aria-label={label} placeholder={placeholder} required={!optional} className="number-input" onChange={(event) => onChange(event.target.value)} />
      {unit && <span className="unit">{unit}</span>}
    </span>
  );
}

const whole = (text) => (text === "" ? null : Math.max(1, Math.round(Number(text)) || 1));

function TagValue({ field, operator, value, onChange }) {
  if (WITHOUT_VALUE.includes(operator)) return null;
  const name = t("Value of {title}", { title: field.label });
  const day = field.type === "date" || field.type === "timestamp";
  const isNumber = field.type === "integer" || field.type === "decimal";
  const unit = field.unit ?? "";
  if (WITH_DAYS.includes(operator)) return <Number_ value={value} onChange={(text) => onChange(whole(text) ?? "")} label={t("Days")} unit={t("days")} whole least={1} />;
  if (field.type === "boolean") {
    return (
      <div className="button-group" role="group" aria-label={name}>
        {[[true, t("Yes")], [false, t("No")]].map(([one, shown]) => <button key={shown} type="button" className="button" aria-pressed={value === one} onClick={() => onChange(one)}>{shown}</button>)}
      </div>
    );
  }
  if (WITH_LIST.includes(operator)) {
    return <Chips values={value} onChange={onChange} known={field.values} path={field.values ? null : `/audiences/values?tag=${encodeURIComponent(field.tag)}`} label={name} free={isNumber || !field.values} />;
  }
  if (WITH_TWO.includes(operator)) {
    const edit = (place) => (text) => onChange(value.map((one, position) => (position === place ? text : one)));
    return (
      <span className="range">
        {[0, 1].map((place) => (
          <span key={place} className="range-end">
            {place === 1 && <span className="unit">{t("to")}</span>}
            {day ? <input type="date" value={value[place]} aria-label={`${name}: ${place ? t("to") : t("from")}`} onChange={(event) => edit(place)(event.target.value)} />
              : <Number_ value={value[place]} onChange={edit(place)} label={`${name}: ${place ? t("to") : t("from")}`} whole={field.type === "integer"} unit={place ? unit : ""} />}
          </span>
        ))}
      </span>
    );
  }
  if (day) return <input type="date" value={value} aria-label={name} onChange={(event) => onChange(event.target.value)} />;
  if (isNumber) return <Number_ value={value} onChange={onChange} label={name} unit={unit} whole={field.type === "integer"} />;
  if (operator === "contains" || operator === "beginsWith") return <input type="text" value={value} maxLength={200} aria-label={name} placeholder={t("Text")} className="text-input" onChange={(event) => onChange(event.target.value)} />;
  return <Chips single values={value === "" ? [] : [value]} onChange={(chosen) => onChange(chosen[0] ?? "")} known={field.values} path={field.values ? null : `/audiences/values?tag=${encodeURIComponent(field.tag)}`} label={name} free={!field.values} />;
}

function EventValue({ field, value, onChange }) {
  const set = (change) => onChange({ ...value, ...change });
  const [more, showMore] = useState(Boolean(value.what?.length || value.amount_at_least !== null));
  return (
    <div className="event-value">
      <span className="phrase"><span className="unit">{t("at least")}</span><Number_ value={value.at_least} onChange={(text) => set({ at_least: whole(text) ?? "" })} label={t("Times")} unit={t("times")} whole least={1} /></span>
      <span className="phrase"><span className="unit">{t("in the last")}</span><Number_ value={value.within_days} onChange={(text) => set({ within_days: whole(text) })} label={t("Days, empty: ever")} unit={t("days")} whole least={1} optional placeholder={t("ever")} /></span>
      {more ? (
        <>
          {field.hasAmount && <span className="phrase"><span className="unit">{t("sum at least")}</span><Number_ value={value.amount_at_least} onChange={(text) => set({ amount_at_least: text === "" ? null : text })} label={t("Sum of amounts, empty: any")} least={0} optional placeholder={t("any")} /></span>}
          <span className="phrase grow"><span className="unit">{t("about")}</span><Chips values={value.what ?? []} onChange={(what) => set({ what })} path={`/audiences/what?event=${encodeURIComponent(field.event)}`} label={t("About what, empty: anything")} placeholder={t("anything")} free /></span>
        </>
      ) : <button type="button" className="button quiet small" onClick={() => showMore(true)}>{t("More conditions")}</button>}
    </div>
  );
}

function Select({ value, onChange, options, label }) {
  const id = useId();
  return <select id={id} value={value} aria-label={label} onChange={(event) => onChange(event.target.value)}>{options.map(([code, text]) => <option key={code} value={code}>{text}</option>)}</select>;
}

function SequenceValue({ field, value, onChange, events }) {
  const set = (change) => onChange({ ...value, ...change });
  const offered = events.map((event) => [event.event, event.label]);
  return (
    <div className="event-value">
      <span className="phrase"><span className="unit">{t("first")}</span><Select value={value.first} onChange={(first) => set({ first })} options={offered} label={t("First event")} /></span>
      <span className="phrase"><span className="unit">{t("then")}</span><Select value={value.then} onChange={(then) => set({ then })} options={offered} label={t("Event after it")} /></span>
      <span className="phrase"><span className="unit">{t("within")}</span><Number_ value={value.within_days} onChange={(text) => set({ within_days: whole(text) ?? "" })} label={t("Days between them")} unit={t("days")} whole least={1} /></span>
      <span className="phrase"><span className="unit">{t("the first in the last")}</span><Number_ value={value.last_days} onChange={(text) => set({ last_days: whole(text) })} label={t("Days, empty: ever")} unit={t("days")} whole least={1} optional placeholder={t("ever")} /></span>
    </div>
  );
}

export function ValueEditor({ field, operator, value: given, onChange, events }) {
  if (!field) return null;
  const value = fitted(given, field, operator);
  if (field.kind === "event") return <EventValue field={field} value={value} onChange={onChange} />;
  if (field.kind === "sequence") return <SequenceValue field={field} value={value} onChange={onChange} events={events} />;
  if (field.kind === "audience") return null;
  return <TagValue field={field} operator={operator} value={value} onChange={onChange} />;
}
