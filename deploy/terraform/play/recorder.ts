import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { prefix } from './wanted.ts'

/** A broker's address through which all requests are noted. */
export interface Recorder {
  readonly address: string
  /** What was asked since the last time: method, path and body, each kind of request once, sorted. */
  take (): string[]
  close (): Promise<void>
}

/** What differs from play to play: names that rotate, and ids, but not the texts around them. */
const derived = new RegExp(`${prefix}[0-9a-v]{26}`, 'g')
const uuid = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}/g

/** Serves on loopback and hands on what it gets, as it is. What it noted is kept in memory alone. */
export async function startRecorder (broker: string): Promise<Recorder> {
  const noted = new Set<string>()
  const { hostname, port } = new URL(broker)
  const server = http.createServer((incoming, outgoing) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk))
    incoming.on('end', () => {
      const body = Buffer.concat(chunks)
      const { method, url, headers } = incoming
      noted.add(`${method} ${url} ${headers['x-vault-wrap-ttl'] === undefined ? '' : 'wrapped '}${textOf(body)}`.trimEnd()
        .replaceAll(derived, '<name>').replaceAll(uuid, '<id>'))
      const onward = http.request({ hostname, port, method, path: url, headers }, (answer) => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      })
      onward.on('error', () => outgoing.destroy())
      onward.end(body)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    take () {
      const all = [...noted].sort()
      noted.clear()
      return all
    },
    close: () => new Promise((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  }
}

/** A body with its members sorted, so that two that say the same are the same. */
function textOf (body: Buffer): string {
  if (body.length === 0) return ''
  try {
    return JSON.stringify(JSON.parse(body.toString('utf8')), sorted)
  } catch {
    return `${body.length} bytes`
  }
}

function sorted (_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1))
}
