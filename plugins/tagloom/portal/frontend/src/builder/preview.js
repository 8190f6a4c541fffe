// Asks the portal what a definition means, a moment after the last change; only the newest answer counts.
import { useEffect, useRef, useState } from "react";
import { post } from "../http.js";

const WAIT = 250;

/** { answer, problems, pending } for what is posted; the last good answer stays while the next is on its way. */
export function useAnswer(path, body) {
  const [state, setState] = useState({ answer: null, problems: [], pending: true });
  const text = body === null ? null : JSON.stringify(body);
  const first = useRef(true);
  useEffect(() => {
    if (text === null) return undefined;
    const stop = new AbortController();
    setState((before) => ({ ...before, pending: true }));
    const timer = setTimeout(async () => {
      try {
        const answer = await post(path, JSON.parse(text), { signal: stop.signal });
        setState({ answer, problems: [], pending: false });
      } catch (error) {
        if (error.name === "AbortError") return;
        setState((before) => ({ ...before, problems: error.data?.problems ?? [{ path: "", message: error.message }], pending: false }));
      }
    }, first.current ? 0 : WAIT);
    first.current = false;
    return () => { clearTimeout(timer); stop.abort(); };
  }, [path, text]);
  return state;
}
