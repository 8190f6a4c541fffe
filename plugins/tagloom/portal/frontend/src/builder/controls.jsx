// The parts of react-querybuilder in the portal's look; `context` brings the fields along.
import { FieldPicker } from "./fields.jsx";
import { NOTHING } from "./rules.js";
import { t } from "./texts.js";
import { ValueEditor } from "./values.jsx";

const Icon = ({ path }) => <svg viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor" strokeWidth="1.8" strokeLinecap="round" strokeLinejoin="round" aria-hidden="true"><path d={path} /></svg>;
const CROSS = "M6 6l12 12M18 6 6 18";
const COPY = "M8 8h12v12H8zM16 8V4H4v12h4";
const PLUS = "M12 5v14M5 12h14";

function Field({ value, handleOnChange, context, rule }) {
  return <FieldPicker fields={context.fields} value={value} onChange={handleOnChange} label={t("Condition about")} startOpen={value === NOTHING && context.justAdded.current === rule?.id} />;
}

function Operator({ value, handleOnChange, fieldData, context }) {
  const field = context.byName.get(fieldData?.name);
  if (!field) return null;
  return (
    <select className="operator" value={value} aria-label={t("Comparison")} onChange={(event) => handleOnChange(event.target.value)}>
      {field.operators.map((operator) => <option key={operator} value={operator}>{context.operatorLabel(field, operator)}</option>)}
    </select>
  );
}

function Value({ field, operator, value, handleOnChange, context }) {
  const data = context.byName.get(field);
  return <ValueEditor field={data} operator={operator} value={value} events={context.events} onChange={handleOnChange} />;
}

function Combinator({ value, handleOnChange, path }) {
  const label = path.length ? t("How the conditions of this group belong together") : t("How the conditions belong together");
  return (
    <div className="button-group combinator" role="group" aria-label={label}>
      {[["and", t("All of")], ["or", t("Any of")]].map(([code, text]) => (
        <button key={code} type="button" className="button small" aria-pressed={value === code} onClick={() => handleOnChange(code)}>{text}</button>
      ))}
    </div>
  );
}

function Not({ checked, handleOnChange }) {
  return <button type="button" className="button small not-toggle" aria-pressed={Boolean(checked)} title={t("Everybody who does not fit this group, persons without a value included")} onClick={() => handleOnChange(!checked)}>{t("Not")}</button>;
}

function AddRule({ handleOnClick, disabled }) {
  return <button type="button" className="button small" disabled={disabled} onClick={handleOnClick}><Icon path={PLUS} />{t("Condition")}</button>;
}

function AddGroup({ handleOnClick, disabled, path, context }) {
  if (path.length >= context.limits.depth - 1) return null;
  return <button type="button" className="button small quiet" disabled={disabled} onClick={handleOnClick}><Icon path={PLUS} />{t("Group")}</button>;
}

const remove = (label) => function Remove({ handleOnClick, disabled }) {
  return <button type="button" className="button quiet icon small" disabled={disabled} aria-label={label()} title={label()} onClick={handleOnClick}><Icon path={CROSS} /></button>;
};
const clone = (label) => function Clone({ handleOnClick, disabled }) {
  return <button type="button" className="button quiet icon small clone" disabled={disabled} aria-label={label()} title={label()} onClick={handleOnClick}><Icon path={COPY} /></button>;
};

export const controls = {
  fieldSelector: Field,
  operatorSelector: Operator,
  valueEditor: Value,
  combinatorSelector: Combinator,
  notToggle: Not,
  addRuleAction: AddRule,
  addGroupAction: AddGroup,
  removeRuleAction: remove(() => t("Remove this condition")),
  removeGroupAction: remove(() => t("Remove this group")),
  cloneRuleAction: clone(() => t("Copy this condition")),
  cloneGroupAction: clone(() => t("Copy this group")),
};
