import type { IncomingMessage } from 'node:http'

/** A request as it came: nothing decoded, so that a signature can be checked. */
export interface Incoming {
  readonly method: string
  /** Of the request target, before the question mark, as sent. */
  readonly path: string
  /** After the question mark, as sent; empty when there is none. */
  readonly query: string
  /** By lower-case name; several of one name joined by commas. */
  readonly headers: ReadonlyMap<string, string>
  readonly body: Buffer
  readonly sourceIp: string
}

export const bodyBytesMax = 1_048_576

/** Reads a request with its body; null when the body exceeds the limit or the client went away. */
export function readIncoming (message: IncomingMessage): Promise<Incoming | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let bytes = 0
    message.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= bodyBytesMax) chunks.push(chunk)
    })
    message.on('end', () => {
      const [only] = chunks
      const body = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
      resolve(bytes > bodyBytesMax ? null : fromMessage(message, body))
    })
    message.on('error', () => resolve(null))
  })
}

function fromMessage (message: IncomingMessage, body: Buffer): Incoming {
  const target = message.url ?? '/'
  const mark = target.indexOf('?')
  const headers = new Map<string, string>()
  const raw = message.rawHeaders
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] ?? '').toLowerCase()
    const value = raw[i + 1] ?? ''
    const before = headers.get(name)
    headers.set(name, before === undefined ? value : `${before},${value}`)
  }
  return {
    method: message.method ?? 'GET',
    path: mark === -1 ? target : target.slice(0, mark),
    query: mark === -1 ? '' : target.slice(mark + 1),
    headers,
    body,
    sourceIp: (message.socket.remoteAddress ?? '').replace(/^::ffff:/, '')
  }
}
