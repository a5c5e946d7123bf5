import { setTimeout as sleep } from 'node:timers/promises'
import type { Body } from '../../../src/demo/client.ts'

/** Listens to a broker's events. */
export interface Listener {
  /** The first event that fits, of those that came and those that come; null when there is none for 10 s. */
  find (fits: (event: Body) => boolean): Promise<Body | null>
  close (): void
}

const limitMs = 10_000

/** Begins to listen; what happens after it answered is heard. @throws when the broker refuses. */
export async function listen (address: string, token: string, types: string): Promise<Listener> {
  const ending = new AbortController()
  const events: Body[] = []
  const response = await fetch(`${address}/v1/sys/events?types=${types}`, {
    headers: { 'x-vault-token': token }, signal: ending.signal
  })
  if (response.status !== 200 || response.body === null) throw new Error(`sys/events answers ${response.status}`)
  void read(response.body, events).catch(() => {})
  return {
    async find (fits) {
      for (let waitedMs = 0; waitedMs < limitMs; waitedMs += 20) {
        const event = events.find(fits)
        if (event !== undefined) return event
        await sleep(20)
      }
      return null
    },
    close: () => ending.abort()
  }
}

async function read (stream: ReadableStream<Uint8Array>, events: Body[]): Promise<void> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of stream) {
    text += decoder.decode(chunk, { stream: true })
    for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
      const data = /^data: (.*)$/m.exec(text.slice(0, end))?.[1]
      if (data !== undefined) events.push(JSON.parse(data) as Body)
      text = text.slice(end + 2)
    }
  }
}
