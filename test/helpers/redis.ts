import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { installRedis } from './install-redis.ts'

/** What a test needs of its own to end things: tap's test, or a bench's list. */
export interface Teardown { teardown (end: () => Promise<void> | void): void }

/** Settings of redis.conf by name, several values as a list; they win over a test's own. */
export type RedisSettings = Readonly<Record<string, string | readonly string[]>>

/** A real Redis of a test's own. */
export interface TestRedis {
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly process: ChildProcess
  /** Kills it as `kill -9` would, and waits until it is gone. */
  kill (): Promise<void>
  /** Starts it again, on the same port and files. */
  restart (): Promise<void>
}

/**
 * Starts a Redis on a free port of this machine, with an append-only file in a folder of its own,
 * and ends it, by its process, with the test.
 */
export async function startRedis (t: Teardown, settings: RedisSettings = {}): Promise<TestRedis> {
  installRedis()
  const folder = mkdtempSync(path.join(os.tmpdir(), 'redis-test-'))
  let server: ChildProcess | null = null
  const port = await freePort()
  t.teardown(async () => {
    if (server !== null) await end(server)
    rmSync(folder, { recursive: true, force: true })
  })
  server = await launch(port, folder, settings)
  let running = server
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    folder,
    get process () { return running },
    kill: () => end(running),
    async restart () {
      running = await launch(port, folder, settings)
      server = running
    }
  }
}

/** Finds a port that nobody listens on. */
export async function freePort (): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port was given')
  return address.port
}

/** Asks until an answer is true. @throws Error after `limitMs`. */
export async function until (
  what: string, isTrue: () => Promise<boolean> | boolean, limitMs = 15_000
): Promise<void> {
  const endMs = performance.now() + limitMs
  while (!await isTrue()) {
    if (performance.now() > endMs) throw new Error(`waited too long: ${what}`)
    await delay(20)
  }
}

/** Sends one command in clear and answers the first bytes that come back. */
export async function command (port: number, line: string): Promise<string> {
  const socket = net.connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    socket.write(`${line}\r\n`)
    const [data] = await once(socket, 'data') as [Buffer]
    return data.toString('utf8')
  } finally {
    socket.destroy()
  }
}

async function launch (port: number, folder: string, settings: RedisSettings) {
  const all = {
    port: String(port),
    bind: '127.0.0.1',
    dir: folder,
    save: '',
    appendonly: 'yes',
    appendfsync: 'always',
    'maxmemory-policy': 'noeviction',
    ...settings
  }
  const options = Object.entries(all).flatMap(([name, value]) => [`--${name}`, ...[value].flat()])
  const server = spawn('redis-server', options, { stdio: 'ignore' })
  await until('Redis answers', async () => {
    if (server.exitCode !== null) throw new Error(`Redis ended with ${server.exitCode}`)
    try {
      const answer = await command(port, 'PING')
      return answer.startsWith('+PONG') || answer.startsWith('-NOAUTH')
    } catch {
      return false
    }
  })
  return server
}

async function end (server: ChildProcess): Promise<void> {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = once(server, 'exit')
  server.kill('SIGKILL')
  await ended
}
