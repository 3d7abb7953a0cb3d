// Requests to the service. Whatever it refuses is thrown as a Problem, in the service's own words.

export class Problem extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

/** One request; its JSON, or null where there is none. */
export async function call(method, path, body) {
  const response = await send(method, path, body);
  return response.status === 204 ? null : response.json();
}

/** The events of an answer as it is made: [name, data] each. */
export async function* asked(body, signal) {
  const response = await send("POST", "/v1/ask", body, { Accept: "text/event-stream" }, signal);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let piece; !(piece = await reader.read()).done; ) {
    const blocks = (rest + piece.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const event = block.match(/^event: (.*)$/m);
      const data = block.match(/^data: (.*)$/m);
      if (event && data) yield [event[1], JSON.parse(data[1])];
    }
  }
}

async function send(method, path, body, headers = {}, signal = undefined) {
  const sent = body === undefined ? undefined : JSON.stringify(body);
  if (sent !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, body: sent, headers, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The service cannot be reached. Is it running?", 0);
  }
  if (response.ok) return response;
  const told = await response.json().catch(() => null);
  const detail = told?.detail ?? `The service refused (HTTP ${response.status}).`;
  throw new Problem(String(detail), response.status);
}
