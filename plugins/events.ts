import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { BrokerError } from '../src/core/errors.ts'
import { eventData, type EventStream, type Published, type Subscription } from '../src/core/events.ts'
import { writeError } from './errors.ts'

/** What a client asked to be told. */
export interface EventsAsked {
  readonly tokenAccessor: string
  /** Only events of these types; null: all. */
  readonly types: readonly string[] | null
}

/** Answers that go on until somebody ends them: server-sent events (HTML standard, section 9.2). */
export interface EventConnections {
  /** Whether one more may begin for a token. */
  hasRoom (tokenAccessor: string): boolean
  /** Answers with events as they come; with `head` by headers alone. */
  open (response: ServerResponse, asked: EventsAsked, head: boolean): void
  /** Ends those whose token ended or lost its right. Call it twice a second. */
  check (): Promise<void>
  openCount (): number
}

export interface EventConnectionsOptions {
  readonly events: Pick<EventStream, 'subscribe'>
  /** Whether a token lives and may read events. */
  readonly isAllowed: (tokenAccessor: string) => Promise<boolean>
  readonly limits?: Partial<EventLimits>
}

/** Bounds on event connections. */
export interface EventLimits {
  readonly all: number
  readonly ofToken: number
  /** A comment is sent this often, so that both ends notice a dead connection. */
  readonly heartbeatMs: number
  /** How long a client may take none of what was sent. */
  readonly stallMs: number
}

const eventLimits: EventLimits = { all: 64, ofToken: 4, heartbeatMs: 15_000, stallMs: 10_000 }
const headers = ['content-type', 'text/event-stream', 'cache-control', 'no-store', 'x-content-type-options', 'nosniff']

export function createEventConnections (
  { events, isAllowed, limits: chosen }: EventConnectionsOptions
): EventConnections {
  const limits: EventLimits = { ...eventLimits, ...chosen }
  const byToken = new Map<string, Set<Subscription>>()
  let count = 0

  const hasRoom = (accessor: string) => count < limits.all && (byToken.get(accessor)?.size ?? 0) < limits.ofToken

  function begin ({ tokenAccessor: accessor, types }: EventsAsked): Subscription {
    const subscription = events.subscribe(types)
    const own = byToken.get(accessor) ?? new Set()
    byToken.set(accessor, own.add(subscription))
    count++
    return subscription
  }

  function end (accessor: string, subscription: Subscription): void {
    subscription.close()
    const own = byToken.get(accessor)
    if (own?.delete(subscription) !== true) return
    count--
    if (own.size === 0) byToken.delete(accessor)
  }

  /** False where the client takes nothing. */
  async function send (response: ServerResponse, text: string): Promise<boolean> {
    if (response.write(text)) return true
    try {
      await once(response, 'drain', { signal: AbortSignal.timeout(limits.stallMs) })
      return true
    } catch {
      response.destroy()
      return false
    }
  }

  async function stream (response: ServerResponse, subscription: Subscription): Promise<void> {
    for await (const published of subscription) {
      if (!await send(response, textOf(published))) return
    }
    response.end()
  }

  return {
    hasRoom,
    openCount: () => count,
    open (response, asked, head) {
      const { tokenAccessor } = asked
      if (!hasRoom(tokenAccessor)) {
        writeError(response, new BrokerError('limit_exceeded', 'too many event streams'), [])
        return
      }
      response.writeHead(200, headers)
      if (head) {
        response.end()
        return
      }
      const subscription = begin(asked)
      response.write(': latchkey\n\n')
      const heartbeat = setInterval(() => { if (response.writableLength === 0) response.write(':\n\n') }, limits.heartbeatMs)
      const over = () => {
        clearInterval(heartbeat)
        end(tokenAccessor, subscription)
      }
      response.once('close', over)
      void stream(response, subscription).finally(over)
    },
    async check () {
      for (const [accessor, own] of byToken) {
        // Where nobody can tell, nobody is told.
        if (await isAllowed(accessor).catch(() => false)) continue
        for (const subscription of [...own]) end(accessor, subscription)
      }
    }
  }
}

/** JSON has no line ends of its own, so an event is one `data` line. */
function textOf ({ id, atMs, event }: Published): string {
  const data = JSON.stringify({ time: new Date(atMs).toISOString(), type: event.type, ...eventData(event) })
  return `id: ${id}\nevent: ${event.type}\ndata: ${data}\n\n`
}
