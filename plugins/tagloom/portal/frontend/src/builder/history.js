// Undo and redo over whole definitions; changes in quick succession, as typing makes them, are one step.
import { useCallback, useReducer } from "react";

const BURST = 700;
const MOST = 100;

function step(state, action) {
  if (action.kind === "undo" && state.past.length) {
    return { past: state.past.slice(0, -1), present: state.past.at(-1), future: [state.present, ...state.future], at: 0 };
  }
  if (action.kind === "redo" && state.future.length) {
    return { past: [...state.past, state.present], present: state.future[0], future: state.future.slice(1), at: 0 };
  }
  if (action.kind !== "set") return state;
  const present = typeof action.to === "function" ? action.to(state.present) : action.to;
  if (present === state.present) return state;
  if (action.silent) return { ...state, present };
  const burst = action.typing && action.at - state.at < BURST && state.past.length > 0;
  return { past: burst ? state.past : [...state.past, state.present].slice(-MOST), present, future: [], at: action.at };
}

export function useHistory(first) {
  const [state, dispatch] = useReducer(step, { past: [], present: first, future: [], at: 0 });
  const set = useCallback((to, options = {}) => dispatch({ kind: "set", to, at: Date.now(), ...options }), []);
  return {
    present: state.present, set,
    undo: useCallback(() => dispatch({ kind: "undo" }), []), redo: useCallback(() => dispatch({ kind: "redo" }), []),
    canUndo: state.past.length > 0, canRedo: state.future.length > 0,
  };
}
