// Rules as react-querybuilder holds them, and as the portal understands them.
export const NOTHING = "~";
export const WITHOUT_VALUE = ["null", "notNull"];
export const WITH_LIST = ["in", "notIn"];
export const WITH_TWO = ["between", "notBetween"];
export const WITH_DAYS = ["last_days", "before_days", "next_days"];
const DAYS = 30;

export const isGroup = (rule) => Array.isArray(rule?.rules);

/** What a condition begins with: the value that its field and operator take. */
export function firstValue(field, operator) {
  if (!field) return "";
  if (field.kind === "event") return { at_least: 1, within_days: DAYS, amount_at_least: null, what: null };
  if (field.kind === "sequence") return { first: field.events[0] ?? "", then: field.events[1] ?? field.events[0] ?? "", within_days: 7, last_days: 90 };
  if (field.kind === "audience" || WITHOUT_VALUE.includes(operator)) return null;
  if (WITH_LIST.includes(operator)) return [];
  if (WITH_TWO.includes(operator)) return ["", ""];
  if (WITH_DAYS.includes(operator)) return DAYS;
  return field.type === "boolean" ? true : "";
}

/** The value in the shape that the operator takes: another operator may have been chosen since. */
export function fitted(value, field, operator) {
  const first = firstValue(field, operator);
  if (first === null) return null;
  if (Array.isArray(first)) {
    if (WITH_TWO.includes(operator)) return (Array.isArray(value) && value.length === 2 ? value : [value, ""]).map((one) => plain(one, field));
    return Array.isArray(value) ? value.filter((one) => one !== "") : value === "" || value === null || typeof value === "object" ? [] : [value];
  }
  if (typeof first === "object") return value && typeof value === "object" && !Array.isArray(value) ? value : first;
  if (WITH_DAYS.includes(operator)) return Number.isInteger(value) && value > 0 ? value : Number.isInteger(Number(value)) && Number(value) > 0 ? Number(value) : first;
  if (field.type === "boolean") return value === true || value === "true" ? true : value === false || value === "false" ? false : first;
  return plain(value, field);
}

const isDay = (field) => field.type === "date" || field.type === "timestamp";

function plain(value, field) {
  const one = Array.isArray(value) ? (value[0] ?? "") : value;
  // Days and numbers of days are no days of the calendar.
  if (isDay(field) && !/^\d{4}-\d{2}-\d{2}$/.test(one)) return "";
  return one === null || typeof one === "object" || typeof one === "boolean" ? "" : one;
}

function isNumber(value) {
  return value !== "" && value !== null && Number.isFinite(Number(value));
}

/** Whether somebody has said enough for the condition to be counted. */
export function isComplete(rule, field) {
  if (!field || rule.field === NOTHING) return false;
  const value = fitted(rule.value, field, rule.operator);
  if (field.kind === "audience" || WITHOUT_VALUE.includes(rule.operator)) return true;
  if (field.kind === "event") return Number.isInteger(value.at_least) && value.at_least > 0;
  if (field.kind === "sequence") return Boolean(value.first && value.then && value.within_days > 0);
  if (Array.isArray(value)) {
    if (WITH_TWO.includes(rule.operator)) return value.every((one) => (isDay(field) ? one !== "" : isNumber(one)));
    return value.length > 0;
  }
  if (field.type === "integer" || field.type === "decimal") return isNumber(value);
  return value !== "";
}

function asNumber(value, field) {
  return (field.type === "integer" || field.type === "decimal") && isNumber(value) ? Number(value) : value;
}

/** The rule without what only the builder needs; conditions that are not finished are left out, and counted. */
export function cleaned(rule, fields) {
  let unfinished = 0;
  const leaf = (one) => {
    const field = fields.get(one.field);
    if (!isComplete(one, field)) {
      unfinished += 1;
      return null;
    }
    let value = fitted(one.value, field, one.operator);
    if (field.kind === "tag") value = Array.isArray(value) ? value.map((part) => asNumber(part, field)) : asNumber(value, field);
    if (field.kind === "event") {
      value = { at_least: value.at_least, within_days: value.within_days || null, amount_at_least: isNumber(value.amount_at_least) ? Number(value.amount_at_least) : null, what: value.what?.length ? value.what : null };
    }
    return { field: one.field, operator: one.operator, value };
  };
  const group = (one, outermost) => {
    const rules = one.rules.map((child) => (isGroup(child) ? group(child, false) : leaf(child))).filter(Boolean);
    if (!rules.length && !outermost) return null;
    return { combinator: one.combinator === "or" ? "or" : "and", not: Boolean(one.not), rules };
  };
  return { rule: group(rule, true), unfinished };
}

let number = 0;
const newId = () => `rule-${(number += 1)}`;

/** A saved rule with the ids that react-querybuilder tells its parts apart by. */
export function withIds(rule) {
  if (!isGroup(rule)) return { ...rule, id: newId(), value: rule.value ?? null };
  return { combinator: rule.combinator ?? "and", not: Boolean(rule.not), id: newId(), rules: rule.rules.map(withIds) };
}

export function countRules(rule) {
  return isGroup(rule) ? rule.rules.reduce((sum, child) => sum + countRules(child), 0) : 1;
}
