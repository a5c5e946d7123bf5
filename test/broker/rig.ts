import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { loadConfig } from '../../config/config.ts'
import { createLogger } from '../../config/logger.ts'
import { createApp, type App } from '../../src/app.ts'
import type { BrokerRequest, BrokerResponse } from '../../src/broker/request.ts'
import { BrokerError } from '../../src/core/errors.ts'
import { requestId } from '../../src/core/ids.ts'
import { isJsonObject, type JsonObject } from '../../src/core/json.ts'
import type { Store } from '../../src/core/store.ts'
import { prepareDevelopment } from '../../src/development.ts'
import { createBarrier } from '../../src/store/barrier.ts'
import { openStoreClock } from '../../src/store/clock.ts'
import { createKeyring, firstTerm, type Keyring } from '../../src/store/keyring.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { applyConfigDir } from '../../src/provision.ts'
import { createFolder, type AuditLine } from '../helpers/broker.ts'
import type { Teardown } from '../helpers/redis.ts'

export const root = 'rig-root-token'

/** A store that brokers share, and the keys to it. */
export interface Shared { readonly store: Store, readonly keyring: Keyring }

export function createShared (): Shared {
  return { store: createMemoryStore(), keyring: createKeyring(randomBytes(8).toString('hex'), [firstTerm(0)]) }
}

/** What an answer came to: its parsed body, or the error's code and sentence. */
export interface Outcome { readonly code: string, readonly text: string, readonly body: JsonObject }

export interface Rig {
  readonly app: App
  /** The store as the broker has it, behind the barrier. */
  readonly store: Store
  /** Sends a request through the door, as root unless told otherwise. */
  ask (verb: BrokerRequest['verb'], path: string, more?: Partial<BrokerRequest>): Promise<Outcome>
  /** As `ask`, and throws where it is refused. */
  must (verb: BrokerRequest['verb'], path: string, data?: JsonObject, clientToken?: string): Promise<JsonObject>
  audit (): AuditLine[]
}

/** A whole broker in this process, on a store in memory that may be changed on its way. */
export async function createRig (
  t: Teardown, { shared = createShared(), wrap = (store: Store) => store }: { shared?: Shared, wrap?: (store: Store) => Store } = {}
): Promise<Rig> {
  const folder = createFolder(t)
  const config = loadConfig({
    LATCHKEY_DATA_DIR: folder, LATCHKEY_DEV_ROOT_TOKEN: root, LATCHKEY_EMULATOR: 'off', LATCHKEY_LOG_LEVEL: 'fatal'
  }, ['--development'])
  const store = wrap(createBarrier(shared))
  const clock = await openStoreClock({ store })
  const opened = {
    store, keyring: shared.keyring, clock, storageType: 'sqlite', risks: [], isThere: async () => true, check: async () => []
  } as const
  const logger = createLogger('fatal')
  const app = await createApp({ config, logger, opened })
  await applyConfigDir(app, config, store, logger)
  await prepareDevelopment(app, config)
  t.teardown(() => app.http.app.close())

  async function handle (verb: BrokerRequest['verb'], asked: string, more: Partial<BrokerRequest>): Promise<BrokerResponse> {
    return app.broker.handle({
      id: requestId(),
      receivedAtMs: clock.now(),
      verb,
      head: false,
      path: asked,
      clientToken: root,
      data: {},
      bodyText: null,
      accept: '', ifNoneMatch: '',
      remoteAddress: '127.0.0.1',
      remotePort: 1,
      socketAddress: '127.0.0.1',
      wrapTtlSeconds: null,
      refusal: null,
      ...more
    })
  }

  async function ask (verb: BrokerRequest['verb'], asked: string, more: Partial<BrokerRequest> = {}): Promise<Outcome> {
    try {
      const response = await handle(verb, asked, more)
      const text = response.kind === 'body' ? response.json : ''
      const body: unknown = text === '' ? {} : JSON.parse(text)
      return { code: 'ok', text, body: isJsonObject(body) ? body : {} }
    } catch (error) {
      if (!(error instanceof Error)) throw error
      return { code: error instanceof BrokerError ? error.code : error.name, text: error.message, body: {} }
    }
  }

  return {
    app,
    store,
    ask,
    async must (verb, asked, data = {}, clientToken = root) {
      const { code, text, body } = await ask(verb, asked, { data, clientToken })
      if (code !== 'ok') throw new Error(`${verb} ${asked} is ${code}: ${text}`)
      return body
    },
    audit: () => readFileSync(path.join(folder, 'audit.log'), 'utf8').trim().split('\n').map((line) => JSON.parse(line) as AuditLine)
  }
}

/** A text in an answer, two names deep. @throws when it is not there. */
export function textAt (body: JsonObject, part: string, name: string): string {
  const inner = body[part]
  const value = isJsonObject(inner) ? inner[name] : undefined
  if (typeof value !== 'string') throw new Error(`no ${part}.${name} in an answer`)
  return value
}
