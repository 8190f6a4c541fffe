// Choosing what a condition is about: a tag, an event, a sequence or another audience.
import { useRef, useState } from "react";
import { Listbox, matching, useOutside } from "./listbox.jsx";
import { NOTHING } from "./rules.js";
import { t } from "./texts.js";

export function FieldPicker({ fields, value, onChange, label, startOpen = false }) {
  const [open, show] = useState(startOpen);
  const [text, setText] = useState("");
  const inside = useRef(null);
  const button = useRef(null);
  const chosen = value === NOTHING ? null : fields.find((field) => field.name === value);
  const close = () => { show(false); setText(""); };
  useOutside(inside, close);
  const options = matching(fields.map((field) => ({ value: field.name, label: field.label, group: field.group, note: field.note, words: `${field.name} ${field.words ?? ""}`, help: field.help, selected: field.name === value })), text);
  return (
    <div className="field-picker" ref={inside}>
      <button
        type="button" ref={button} className={`button field-button${chosen ? "" : " unset"}`} aria-haspopup="listbox" aria-expanded={open} title={chosen?.help}
        aria-label={chosen ? `${label}: ${chosen.label}` : label} onClick={() => (open ? close() : show(true))}
      >
        <span className="field-button-text">{chosen ? chosen.label : value !== NOTHING && value ? value : t("Choose a tag or event")}</span>
        <span className="caret" aria-hidden="true" />
      </button>
      {open && (
        <div className="field-panel">
          <Listbox
            options={options} open setOpen={(wanted) => { if (!wanted) { close(); button.current?.focus(); } }} text={text} setText={setText} autoFocus label={t("Search tags and events")} placeholder={t("Search tags and events")} empty={t("Nothing has this name.")}
            onChoose={(option) => { onChange(option.value); close(); button.current?.focus(); }}
          />
        </div>
      )}
    </div>
  );
}
