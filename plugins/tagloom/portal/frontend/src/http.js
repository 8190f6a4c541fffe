// Requests of the portal's own scripts. Paths are those of the portal, wherever it is mounted.
const root = document.documentElement.dataset.root ?? "";

/** Address of a path of the portal: url("/audiences/preview"). */
export function url(path) {
  return root + path;
}

/** Answer of a JSON request; throws an Error with the portal's sentence when it is refused. */
export async function request(path, { method = "GET", body, signal } = {}) {
  const answer = await fetch(url(path), {
    method,
    signal,
    credentials: "same-origin",
    headers: { accept: "application/json", ...(body === undefined ? {} : { "content-type": "application/json" }) },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  // The session has ended: the page itself leads to the log-in and back.
  if (answer.status === 401) window.location.reload();
  const data = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(data.error ?? `The portal answered ${answer.status}.`), { status: answer.status, data });
  return data;
}

export const post = (path, body, options = {}) => request(path, { ...options, method: "POST", body });
