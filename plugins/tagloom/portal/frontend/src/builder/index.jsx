// The audience builder: the rule as a tree, its size and words as they change, and saving it.
import { useEffect, useMemo, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { createRoot } from "react-dom/client";
import { QueryBuilder } from "react-querybuilder";
import { post, url } from "../http.js";
import "./builder.css";
import { controls } from "./controls.jsx";
import { useHistory } from "./history.js";
import { Composition, Settings, Size, SizeBar, Words } from "./panels.jsx";
import { useAnswer } from "./preview.js";
import { cleaned, countRules, firstValue, isGroup, withIds } from "./rules.js";
import { t, useTexts } from "./texts.js";

function Builder({ data }) {
  const { present: definition, set, undo, redo, canUndo, canRedo } = useHistory({ ...data.definition, rule: withIds(data.definition.rule) });
  const fields = data.fields;
  const byName = useMemo(() => new Map(fields.map((field) => [field.name, field])), [fields]);
  const events = useMemo(() => fields.filter((field) => field.kind === "event"), [fields]);
  const justAdded = useRef(null);
  const context = useMemo(() => ({
    fields, byName, events, justAdded, limits: data.limits,
    operatorLabel: (field, operator) => data.operators[field.type === "date" || field.type === "timestamp" ? "day" : field.kind === "tag" ? field.type : field.kind]?.[operator] ?? data.operators.any[operator] ?? operator,
  }), [fields, byName, events, data]);
  const { rule, unfinished } = useMemo(() => cleaned(definition.rule, byName), [definition.rule, byName]);
  const toSend = useMemo(() => ({ schema: 1, rule, consent: definition.consent, suppression: definition.suppression, holdout_percent: definition.holdout_percent, split: definition.split, seed: definition.seed ?? "" }), [rule, definition]);
  const splitIsWhole = !definition.split || definition.split.parts.reduce((sum, part) => sum + part.percent, 0) === 100;
  const state = useAnswer("/audiences/preview", splitIsWhole ? { definition: toSend } : null);
  const lastSaved = useRef(JSON.stringify(toSend));
  const changed = JSON.stringify(toSend) !== lastSaved.current;
  const leaving = useRef(false);
  const [asked, ask] = useState(null);

  useEffect(() => {
    const warn = (event) => { if (changed && !leaving.current) event.preventDefault(); };
    const key = (event) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName ?? "")) return;
      if (event.key === "z" && !event.shiftKey) { event.preventDefault(); undo(); }
      if (event.key === "y" || (event.key.toLowerCase() === "z" && event.shiftKey)) { event.preventDefault(); redo(); }
    };
    window.addEventListener("beforeunload", warn);
    window.addEventListener("keydown", key);
    return () => { window.removeEventListener("beforeunload", warn); window.removeEventListener("keydown", key); };
  }, [changed, undo, redo]);

  const setRule = (next) => {
    const same = JSON.stringify(next) === JSON.stringify(definition.rule);
    if (same) return;
    const writing = document.activeElement?.matches("input:not([role=combobox])") ?? false;
    set((before) => ({ ...before, rule: next }), { typing: writing && countRules(next) === countRules(definition.rule) });
  };
  const setPart = (change, typing = false) => set((before) => ({ ...before, ...change }), { typing });
  const first = (name) => byName.get(name);

  return (
    <div className="builder">
      {createPortal(
        <>
        <div className="button-group" role="group" aria-label={t("Undo and redo")}>
          <button type="button" className="button" disabled={!canUndo} onClick={undo} title="Ctrl+Z">{t("Undo")}</button>
          <button type="button" className="button" disabled={!canRedo} onClick={redo} title="Ctrl+Y">{t("Redo")}</button>
        </div>
        <button type="button" className="button primary" disabled={state.problems.length > 0 || !splitIsWhole} onClick={() => ask({})}>{data.audience ? t("Save as version {number}", { number: data.audience.number + 1 }) : t("Save")}</button>
        </>,
        document.getElementById("builder-actions"),
      )}
      <div className="builder-sides">
        <div className="stack">
          <section className="card rule-card">
            <header className="card-head"><h2>{t("Who")}</h2><p className="quiet">{t("Without conditions: everybody.")}</p></header>
            <QueryBuilder
              fields={fields} query={definition.rule} onQueryChange={setRule} controlElements={controls} context={context}
              combinators={[{ name: "and", label: "and" }, { name: "or", label: "or" }]}
              getOperators={(name) => (first(name)?.operators ?? []).map((operator) => ({ name: operator, label: operator }))}
              getDefaultOperator={(name) => first(name)?.operators[0] ?? "="}
              getDefaultValue={(one) => firstValue(first(one.field), one.operator)}
              onAddRule={(one) => { justAdded.current = one.id; return one; }}
              onAddGroup={(one) => { justAdded.current = one.rules[0]?.id ?? null; return one; }}
              showNotToggle showCloneButtons listsAsArrays autoSelectField={false} autoSelectOperator resetOnOperatorChange={false} maxLevels={data.limits.depth}
              addRuleToNewGroups parseNumbers={false} accessibleDescriptionGenerator={({ path }) => (path.length ? t("Group of conditions") : t("All conditions"))}
            />
            {!isGroup(definition.rule) || definition.rule.rules.length ? null : <p className="quiet empty-rule">{t("Nobody is left out yet. Add a condition to choose.")}</p>}
          </section>
          <Settings definition={definition} set={setPart} consents={data.consents} />
        </div>
        <aside className="stack builder-side" aria-label={t("What the rule means")}>
          <Size state={state} unfinished={unfinished} />
          <Words answer={state.answer} />
          <Composition definition={toSend} tags={fields.filter((field) => field.kind === "tag")} first={data.composition} />
        </aside>
      </div>
      <SizeBar state={state} />
      {asked && <Save data={data} definition={toSend} unfinished={unfinished} close={() => ask(null)} saved={(path) => { leaving.current = true; window.location.assign(url(path)); }} />}
    </div>
  );
}

function Save({ data, definition, unfinished, close, saved }) {
  const dialog = useRef(null);
  const [fault, setFault] = useState("");
  const [busy, setBusy] = useState(false);
  const given = data.audience ?? data.suggested;
  useEffect(() => { dialog.current.showModal(); }, []);
  const send = async (event) => {
    event.preventDefault();
    const form = new FormData(event.target);
    setBusy(true);
    try {
      const answer = await post("/audiences", { definition, name: form.get("name"), folder: form.get("folder"), description: form.get("description"), note: form.get("note"), id: data.audience?.id ?? null, number: data.audience?.number ?? null });
      saved(answer.path);
    } catch (error) {
      setFault(error.data?.problems?.map((problem) => problem.message).join(" ") || error.message);
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} className="dialog" aria-labelledby="save-title" onClose={close}>
      <header className="dialog-head"><h2 id="save-title">{data.audience ? t("Save a new version") : t("Save the audience")}</h2><button className="button quiet icon" type="button" aria-label={t("Close")} onClick={() => dialog.current.close()}>×</button></header>
      <form onSubmit={send}>
        {unfinished > 0 && <p className="notice warn">{t("Conditions that are not finished are left out.")}</p>}
        <div className="field"><label htmlFor="save-name">{t("Name")}</label><input id="save-name" name="name" type="text" required maxLength={120} defaultValue={given?.name ?? ""} autoFocus={!data.audience} autoComplete="off" /></div>
        <div className="field"><label htmlFor="save-folder">{t("Folder")}</label><input id="save-folder" name="folder" type="text" list="save-folders" maxLength={120} defaultValue={given?.folder ?? ""} placeholder={t("empty: the top")} autoComplete="off" /><datalist id="save-folders">{data.folders.map((folder) => <option key={folder} value={folder} />)}</datalist></div>
        <div className="field"><label htmlFor="save-description">{t("What it is for")}</label><textarea id="save-description" name="description" rows={2} maxLength={2000} defaultValue={given?.description ?? ""} /></div>
        <div className="field"><label htmlFor="save-note">{data.audience ? t("What changed and why") : t("Note on this version")}</label><input id="save-note" name="note" type="text" maxLength={500} autoFocus={Boolean(data.audience)} autoComplete="off" /></div>
        {fault && <p className="notice bad" role="alert">{fault}</p>}
        <div className="dialog-actions"><button type="button" className="button" onClick={() => dialog.current.close()}>{t("Cancel")}</button><button className="button primary" disabled={busy}>{t("Save")}</button></div>
      </form>
    </dialog>
  );
}

const place = document.getElementById("builder");
const content = document.getElementById("builder-data");
if (place && content) {
  const data = JSON.parse(content.textContent);
  useTexts(data.texts);
  for (const field of data.fields) {
    field.value = field.name;
    if (field.kind === "sequence") field.events = data.fields.filter((one) => one.kind === "event").map((one) => one.event);
  }
  createRoot(place).render(<Builder data={data} />);
}
