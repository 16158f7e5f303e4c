/** The conversation: hands messages in, shows every exchange, and takes up again what a reload interrupted. */
import type { Client, ClientClock, JobHandle } from "../client/index.ts";
import { beforePaint, byId } from "./dom.ts";
import type { Voice } from "./player.ts";
import { createReply, type Reply, type ReplyLinks } from "./reply.ts";
import { type Exchange, loadConversation, saveConversation } from "./saved.ts";
import { createSpoken } from "./spoken.ts";

export interface Transcript {
  /** Newest last. */
  readonly exchanges: readonly Exchange[];
  send(exchange: Exchange): void;
  /** Shows what was saved and follows what had not ended. */
  restore(): void;
  /** The connection went: running answers mark the place. */
  cut(): void;
}

/** Closer to the end than this, the reader is taken to follow what is written. */
const NEAR_END_PX = 120;

export function createTranscript(client: Client, clock: ClientClock, voice: Voice): Transcript {
  const scroller = byId("transcript", HTMLDivElement);
  const list = byId("exchanges", HTMLOListElement);
  const welcome = byId("welcome", HTMLElement);
  const exchanges: Exchange[] = [];
  const replies: Reply[] = [];
  let following = true;
  scroller.addEventListener(
    "scroll",
    () => {
      following = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
    },
    { passive: true },
  );
  const onChange = beforePaint(() => {
    if (following) scroller.scrollTop = scroller.scrollHeight;
  });
  // The composer grows and shrinks with what is written in it.
  new ResizeObserver(onChange).observe(scroller);
  const links: ReplyLinks = {
    client,
    clock,
    voice,
    spoken: createSpoken(byId("live", HTMLParagraphElement)),
    onChange,
    onProgress: () => saveConversation(exchanges),
  };

  function show(exchange: Exchange): Reply {
    const reply = createReply(exchange, links);
    exchanges.push(exchange);
    replies.push(reply);
    list.append(reply.element);
    welcome.hidden = true;
    following = true;
    onChange();
    return reply;
  }
  function handIn(exchange: Exchange): JobHandle {
    return client.submit(exchange.body, { idempotencyKey: exchange.key });
  }

  return {
    exchanges,
    send(exchange) {
      show(exchange).follow(handIn(exchange));
      saveConversation(exchanges);
    },
    restore() {
      for (const exchange of loadConversation()) {
        const reply = show(exchange);
        const { jobId } = exchange;
        if (exchange.ended !== null) reply.showEnded();
        // The reload came before the 202: the same key hands the same job in, at most once.
        else if (jobId === null) reply.follow(handIn(exchange));
        else {
          const remembered = client.remembered.find(({ id }) => id === jobId);
          // The text is needed from its beginning; of the voice only what was not heard.
          const heardUntil = remembered?.cursor ?? 0;
          reply.follow(client.job(jobId, { type: exchange.body.type }), { heardUntil });
        }
      }
    },
    cut() {
      for (const reply of replies) reply.cut();
    },
  };
}
