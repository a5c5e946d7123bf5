import { once } from 'node:events'
import net from 'node:net'
import type { Test } from 'tap'

/** A loopback link to a server that can be made to misbehave. */
export interface Proxy {
  readonly port: number
  /** Cuts each link when the server answers next, and drops the answer: it executed, nobody knows. */
  cutNextAnswer (): void
  /** Holds all answers back until it is told otherwise. */
  hold (isOn: boolean): void
  /** Requests that reached the server and hold this text. */
  count (text: string): number
}

/** Starts a proxy before a port of this machine; ends with the test. */
export async function startProxy (t: Test, port: number): Promise<Proxy> {
  let cutsNext = false
  let holds = false
  let seen = ''
  const sockets = new Set<net.Socket>()
  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1')
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', () => socket.destroy())
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
    client.on('data', (data) => {
      seen += data.toString('latin1')
      upstream.write(data)
    })
    upstream.on('data', (data) => {
      if (cutsNext) {
        cutsNext = false
        client.destroy()
      } else if (!holds) {
        client.write(data)
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    server.close()
    await once(server, 'close')
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return {
    port: address.port,
    cutNextAnswer () { cutsNext = true },
    hold (isOn) { holds = isOn },
    count: (text) => seen.split(text).length - 1
  }
}
