// Server-sent events of one request, which ends where the signal says so.

/** The events at an address, one after the other. */
export async function* events(address, signal) {
  const response = await fetch(address, { signal });
  if (!response.ok) throw new Error((await response.text()).trim());
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the server has gone away");
    text += value;
    let end;
    while ((end = text.indexOf("\n\n")) >= 0) {
      const event = JSON.parse(text.slice("data: ".length, end));
      text = text.slice(end + 2);
      if (event.event === "fault") throw new Error(event.message);
      yield event;
      if (event.event === "done") return;
    }
  }
}
