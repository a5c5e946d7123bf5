import { once } from 'node:events'
import net from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import type { BrokerRequest, BrokerResponse } from '../../src/broker/request.ts'
import { createHttpServer, type HttpServer, type HttpServerOptions } from '../../plugins/http-server.ts'

/** What a test needs of its own to end things. */
export interface Teardown { teardown (end: () => Promise<void> | void): void }

/** A front with a broker that refuses what the transport refused and answers `{"ok":true}` to the rest. */
export interface Front extends HttpServer {
  readonly port: number
  /** Every request that reached the broker, in order. */
  readonly seen: BrokerRequest[]
  /** What was logged. */
  readonly logged: object[]
  last (): BrokerRequest
  /** Bytes that the server has read from the connection with this client port. */
  bytesRead (clientPort: number): number
}

export type Answer = (request: BrokerRequest) => Promise<BrokerResponse>

export interface FrontOptions extends Partial<HttpServerOptions> {
  readonly answer?: Answer
  /** Adds routes before the front listens. */
  readonly prepare?: (front: HttpServer) => void
}

export async function startFront (t: Teardown, options: FrontOptions = {}): Promise<Front> {
  const seen: BrokerRequest[] = []
  const logged: object[] = []
  const { answer = async () => ({ kind: 'body', json: '{"ok":true}' }), prepare, ...rest } = options
  const server = createHttpServer({
    broker: {
      async handle (request) {
        seen.push(request)
        if (request.refusal !== null) throw request.refusal
        return answer(request)
      }
    },
    clock: Date,
    logger: { error: (fields) => { logged.push(fields) } },
    ...rest
  })
  const sockets = new Map<number, net.Socket>()
  server.app.server.on('connection', (socket: net.Socket) => { sockets.set(socket.remotePort ?? 0, socket) })
  prepare?.(server)
  await server.app.listen({ host: '127.0.0.1', port: 0 })
  t.teardown(() => server.stop(50))
  const address = server.app.server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const { port } = address
  return {
    ...server,
    port,
    seen,
    logged,
    bytesRead: (clientPort) => sockets.get(clientPort)?.bytesRead ?? 0,
    last () {
      const request = seen.at(-1)
      if (request === undefined) throw new Error('nothing reached the broker')
      return request
    }
  }
}

/** A connection that a test writes bytes to. */
export interface RawConnection {
  readonly socket: net.Socket
  /** All that came so far. */
  text (): string
  send (bytes: string | Buffer): void
  /** Sends, and waits until the server has read all that was sent so far: what follows is another chunk. */
  deliver (bytes: string | Buffer): Promise<void>
  /** Waits until a text has come so many times, or fails after 5 s. */
  until (text: string, times?: number): Promise<string>
  /** Waits for the end of the connection and answers all that came. */
  closed (): Promise<string>
}

export async function connectRaw (front: Front): Promise<RawConnection> {
  const socket = net.connect({ port: front.port, host: '127.0.0.1', noDelay: true })
  let received = ''
  let isClosed = false
  socket.on('data', (chunk) => { received += chunk.toString('latin1') })
  socket.on('error', () => {})
  socket.on('close', () => { isClosed = true })
  await once(socket, 'connect')
  async function poll (condition: () => boolean, what: string): Promise<string> {
    const deadline = performance.now() + 5000
    while (!condition()) {
      if (performance.now() > deadline || (isClosed && !condition())) throw new Error(`${what}; received: ${received.slice(0, 2000)}`)
      await delay(2)
    }
    return received
  }
  return {
    socket,
    text: () => received,
    send: (bytes) => { socket.write(bytes) },
    async deliver (bytes) {
      socket.write(bytes)
      await poll(() => isClosed || front.bytesRead(socket.localPort ?? 0) >= socket.bytesWritten, 'not read')
    },
    until: (text, times = 1) => poll(() => received.split(text).length > times, `no ${text} ${times} times`),
    closed: () => poll(() => isClosed, 'not closed')
  }
}

/** An answer taken apart. */
export interface RawAnswer {
  readonly status: number
  readonly headers: ReadonlyMap<string, string>
  readonly body: string
}

/** Sends bytes, waits for the end of the connection, and takes the first answer apart. */
export async function sendRaw (front: Front, bytes: string | Buffer): Promise<RawAnswer> {
  const connection = await connectRaw(front)
  connection.send(bytes)
  const text = await connection.closed()
  return parseAnswer(text)
}

/** Sends one request whose connection ends with its answer. */
export function request (
  front: Front, line: string, headers: readonly string[] = [], body: string | Buffer = ''
): Promise<RawAnswer> {
  const counted = body.length > 0 ? [`content-length: ${Buffer.byteLength(body)}`] : []
  const head = [`${line} HTTP/1.1`, 'host: h', 'connection: close', ...headers, ...counted, '', ''].join('\r\n')
  return sendRaw(front, Buffer.concat([Buffer.from(head, 'latin1'), Buffer.from(body)]))
}

export function parseAnswer (text: string): RawAnswer {
  const end = text.indexOf('\r\n\r\n')
  const [first = '', ...lines] = text.slice(0, end === -1 ? text.length : end).split('\r\n')
  const headers = new Map(lines.map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]))
  return { status: Number(first.split(' ')[1]), headers, body: end === -1 ? '' : text.slice(end + 4) }
}

/** The texts of an error's answer. */
export function errorsOf (answer: RawAnswer): unknown {
  return JSON.parse(answer.body).errors
}

/** Numbers between 0 and 1 from a seed, the same in every run. */
export function createRandom (seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let x = state
    x = Math.imul(x ^ x >>> 15, x | 1)
    x ^= x + Math.imul(x ^ x >>> 7, x | 61)
    return ((x ^ x >>> 14) >>> 0) / 4294967296
  }
}

/** The least time of five runs, milliseconds: what the work costs when nothing else runs. */
export function leastMs (work: () => unknown): number {
  let least = Infinity
  for (let run = 0; run < 5; run++) {
    const from = performance.now()
    work()
    least = Math.min(least, performance.now() - from)
  }
  return least
}
