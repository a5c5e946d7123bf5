import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import http from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { JsonObject } from '../../src/core/json.ts'
import type { Teardown } from '../helpers/redis.ts'

/** A request as a receiver got it. */
export interface Received {
  readonly method: string
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

/** What a receiver answers; null: the connection is cut. */
export type Answer = { readonly status: number, readonly headers?: Record<string, string>, readonly body?: string | Buffer } | null

/** A server on loopback that keeps what reaches it. */
export interface Receiver {
  readonly port: number
  readonly url: string
  readonly got: Received[]
  /** Answers from now on; the socket is for answers that are none. */
  answer: (received: Received, socket: Socket) => Answer | Promise<Answer>
}

export async function startReceiver (t: Teardown): Promise<Receiver> {
  const server = http.createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8')
    request.on('data', (chunk: string) => { text += chunk })
    request.on('end', () => {
      const received = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, text }
      receiver.got.push(received)
      void Promise.resolve(receiver.answer(received, request.socket)).then((answer) => {
        if (answer === null) request.socket.destroy()
        else response.writeHead(answer.status, answer.headers).end(answer.body)
      })
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const receiver: Receiver = { port, url: `http://127.0.0.1:${port}/hook`, got: [], answer: () => ({ status: 204 }) }
  return receiver
}

/** What a receiver that knows the secret reads, by the published scheme alone. @throws where no signature is right */
export function verified ({ headers, text }: Received, secret: string): JsonObject {
  const { 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': signatures } = headers
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64')
  const own = createHmac('sha256', key).update(`${String(id)}.${String(time)}.${text}`).digest('base64')
  if (!String(signatures).split(' ').includes(`v1,${own}`)) throw new Error('no signature is right')
  return JSON.parse(text) as JsonObject
}

export const idOf = ({ headers }: Received) => String(headers['webhook-id'])
