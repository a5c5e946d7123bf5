import { spawn, type ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'

/** A development broker that nobody else uses, and the emulated AWS in its process. */
export interface OwnBroker {
  readonly address: string
  readonly rootToken: string
  /** Answers its exit code; its data is removed. */
  stop (): Promise<number | null>
}

/** Starts one on free ports and an empty folder. */
export async function startOwnBroker (
  { logLevel = 'warn' }: { readonly logLevel?: 'warn' | 'error' } = {}
): Promise<OwnBroker> {
  const folder = mkdtempSync(path.join(tmpdir(), 'latchkey-demo-'))
  const rootToken = `demo-${randomBytes(16).toString('hex')}`
  const child = spawn(process.execPath, [path.join(import.meta.dirname, '../server.ts'), '--development'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {
      PATH: process.env['PATH'],
      LATCHKEY_LISTEN: '127.0.0.1:0',
      LATCHKEY_DATA_DIR: folder,
      LATCHKEY_DEV_ROOT_TOKEN: rootToken,
      LATCHKEY_LOG_LEVEL: logLevel
    }
  })
  const address = await readAddress(child)
  return {
    address,
    rootToken,
    async stop () {
      const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
      child.kill('SIGTERM')
      const code = await ended
      rmSync(folder, { recursive: true, force: true })
      return code
    }
  }
}

function readAddress (child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout?.on('data', (chunk: Buffer) => {
      text += chunk.toString('utf8')
      const found = /Latchkey serves at (http:\/\/[^\s]+)/.exec(text)
      if (found?.[1] !== undefined) resolve(found[1])
    })
    child.once('exit', (code) => reject(new Error(`the broker ended with code ${String(code)} before it served`)))
  })
}
