// A list that opens below something and is steered from a text field: arrows, Enter, Escape.
import { useEffect, useId, useRef, useState } from "react";

/** Closes when focus or a click goes elsewhere. */
export function useOutside(inside, close) {
  useEffect(() => {
    const leave = (event) => {
      if (inside.current && !inside.current.contains(event.target)) close();
    };
    document.addEventListener("pointerdown", leave);
    document.addEventListener("focusin", leave);
    return () => {
      document.removeEventListener("pointerdown", leave);
      document.removeEventListener("focusin", leave);
    };
  });
}

/**
 * Field and list. `options`: [{ value, label, group?, note?, selected? }]; `onChoose(option)`.
 * The list is shown while `open`; `footer` stands below it.
 */
export function Listbox({ options, open, setOpen, text, setText, onChoose, label, placeholder, empty, onKey, footer, autoFocus = false, className = "" }) {
  const [at, setAt] = useState(0);
  const list = useRef(null);
  const id = useId();
  const active = Math.min(at, options.length - 1);
  useEffect(() => setAt(0), [text, open]);
  useEffect(() => {
    list.current?.querySelector("[data-active]")?.scrollIntoView({ block: "nearest" });
  }, [active, open]);
  const key = (event) => {
    if (event.nativeEvent.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (!open) setOpen(true);
      else if (options.length) setAt((active + (event.key === "ArrowDown" ? 1 : options.length - 1)) % options.length);
    } else if (event.key === "Enter" && open && options[active]) {
      event.preventDefault();
      onChoose(options[active]);
    } else if (event.key === "Escape" && open) {
      event.preventDefault();
      event.stopPropagation();
      setOpen(false, true);
    } else onKey?.(event);
  };
  return (
    <>
      <input
        type="text" role="combobox" aria-expanded={open} aria-controls={id} aria-autocomplete="list" aria-label={label} autoComplete="off" spellCheck={false}
        aria-activedescendant={open && options[active] ? `${id}-${active}` : undefined}
        className={className} value={text} placeholder={placeholder} autoFocus={autoFocus}
        onChange={(event) => { setText(event.target.value); if (!open) setOpen(true); }}
        onKeyDown={key} onFocus={() => setOpen(true)} onClick={() => setOpen(true)}
      />
      <div className="listbox" hidden={!open}>
        <div role="listbox" id={id} aria-label={label} ref={list} className="listbox-options">
          {open && options.map((option, position) => (
            <div key={option.value} role="presentation">
              {option.group && option.group !== options[position - 1]?.group && <div className="listbox-group" role="presentation">{option.group}</div>}
              <div
                role="option" id={`${id}-${position}`} aria-selected={Boolean(option.selected)} data-active={position === active ? "" : undefined} className="listbox-option" title={option.help}
                onPointerDown={(event) => event.preventDefault()} onClick={() => onChoose(option)} onPointerMove={() => position !== active && setAt(position)}
              >
                <span>{option.label}</span>
                {option.note && <span className="listbox-note">{option.note}</span>}
              </div>
            </div>
          ))}
        </div>
        {open && !options.length && empty && <p className="listbox-empty">{empty}</p>}
        {footer}
      </div>
    </>
  );
}

/** Options whose label, note or group contain every word; the one that is the text comes first, then those that begin with it. */
export function matching(options, text, most = 400) {
  const wanted = text.trim().toLocaleLowerCase();
  if (!wanted) return options.slice(0, most);
  const words = wanted.split(/\s+/);
  const found = options.filter((option) => {
    const all = `${option.label} ${option.words ?? ""} ${option.group ?? ""}`.toLocaleLowerCase();
    return words.every((word) => all.includes(word));
  });
  const begins = (option) => { const label = option.label.toLocaleLowerCase(); return label === wanted ? 0 : label.startsWith(wanted) ? 1 : 2; };
  return found.map((option, place) => ({ option, place })).sort((a, b) => begins(a.option) - begins(b.option) || a.place - b.place).slice(0, most).map(({ option }) => option);
}
