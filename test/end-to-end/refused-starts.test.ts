import { randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { createFolder, rootToken, startBroker, startRefused } from '../helpers/broker.ts'
import { startRedis } from '../helpers/redis.ts'

/** Settings of a production start: what a development start has by itself is named. */
const production = { LATCHKEY_DEV_ROOT_TOKEN: undefined, LATCHKEY_EMULATOR: undefined }

function keyFile (folder: string, { mode = 0o600, bytes = 32 } = {}): string {
  const file = path.join(folder, `key-${randomBytes(4).toString('hex')}`)
  writeFileSync(file, randomBytes(bytes))
  chmodSync(file, mode)
  return file
}

t.test('a production start', async (t) => {
  t.test('SEC-247 SEC-254 tells every problem at once, and no value', async (t) => {
    const { code, output } = await startRefused(t, {
      flags: ['--unknown', 'x'],
      settings: {
        LATCHKEY_LISTEN: '0.0.0.0:0', LATCHKEY_EMULATOR: 'on', LATCHKEY_LEASE_TTL_SECONDS: 'CNRYsoon', LATCHKEY_TLS_KEY_FILE: '/CNRYkey.pem',
        LATCHKEY_NOTIFIER_HOSTS: 'https://CNRYhost/path', LATCHKEY_AWS_ENDPOINTS: 'CNRYhost/', LATCHKEY_UNHEARD_OF: 'CNRYx', NODE_TLS_REJECT_UNAUTHORIZED: '0', SSLKEYLOGFILE: '/CNRYlog', LATCHKEY_LOG_LEVEL: 'CNRYloud'
      }
    })
    t.equal(code, 2)
    for (const name of ['--unknown', 'LATCHKEY_LISTEN', 'LATCHKEY_EMULATOR', 'LATCHKEY_LEASE_TTL_SECONDS', 'LATCHKEY_TLS_CERT_FILE',
      'LATCHKEY_NOTIFIER_HOSTS', 'LATCHKEY_AWS_ENDPOINTS', 'LATCHKEY_UNHEARD_OF', 'NODE_TLS_REJECT_UNAUTHORIZED', 'SSLKEYLOGFILE', 'LATCHKEY_LOG_LEVEL', 'LATCHKEY_DEV_ROOT_TOKEN', 'LATCHKEY_MASTER_KEY_FILE']) {
      t.match(output, new RegExp(`- ${name}`), name)
    }
    t.notMatch(output, /CNRY/)
    t.notMatch(output, new RegExp(rootToken))
    t.notMatch(output, /\n\s+at /, 'no stack')
  })

  t.test('SEC-164 SEC-363 NODE_TLS_REJECT_UNAUTHORIZED is refused, in development too', async (t) => {
    for (const flags of [['--development'], []]) {
      const { code, output } = await startRefused(t, { flags, settings: { NODE_TLS_REJECT_UNAUTHORIZED: '0' } })
      t.equal(code, 2)
      t.match(output, /NODE_TLS_REJECT_UNAUTHORIZED is not allowed/)
    }
  })

  t.test('SEC-254 development conveniences are refused, and development itself on other addresses', async (t) => {
    const folder = createFolder(t)
    const masterKeyFile = keyFile(folder)
    for (const settings of [{ ...production, LATCHKEY_DEV_ROOT_TOKEN: rootToken }, { ...production, LATCHKEY_EMULATOR: 'on' }]) {
      t.match(await startRefused(t, { flags: [], masterKeyFile, settings }), { code: 2, output: /is for --development only/ })
    }
    t.match(await startRefused(t, { settings: { LATCHKEY_LISTEN: '0.0.0.0:0' } }), { code: 2, output: /--development listens on loopback only/ })
    t.match(await startRefused(t, { settings: { NODE_ENV: 'production' } }), { code: 2, output: /NODE_ENV/ })
    t.match(await startRefused(t, { flags: [], masterKeyFile, settings: { ...production, LATCHKEY_LISTEN: '0.0.0.0:0' } }), { code: 2, output: /needs TLS/ })
  })

  t.test('with a key file it serves, and has neither example, nor root token, nor emulator', async (t) => {
    const folder = createFolder(t)
    const broker = await startBroker(t, { folder, flags: [], masterKeyFile: keyFile(createFolder(t)), settings: { ...production, LATCHKEY_ROOT_TOKEN_FILE: path.join(folder, 'root') } })
    t.equal((await broker.ask('GET', 'sys/mounts')).status, 403, 'the development token is nobody')
    const token = readFileSync(path.join(folder, 'root'), 'utf8').trim()
    t.equal(statSync(path.join(folder, 'root')).mode & 0o777, 0o600)
    t.strictSame(Object.keys((await broker.must('GET', 'sys/mounts', { token })).body.data ?? {}).sort(), ['cubbyhole/', 'sys/'])
    t.notMatch(broker.output(), new RegExp(token.replaceAll('.', '\\.')))
    t.comment(`served after ${Math.round(broker.startMs)} ms`)
    t.match(await broker.ask('POST', 'sys/mounts/aws', { token, body: { type: 'aws' } }), { status: 204 })
    const local = await broker.ask('POST', 'aws/config/root', { token, body: { sts_endpoint: 'http://127.0.0.1:1' } })
    t.equal(local.status, 400, 'SEC-161 loopback is no endpoint here')
    for (const url of ['http://127.0.0.1:1/', 'https://127.0.0.1/', 'https://localhost/', 'https://10.0.0.1/']) {
      const hook = await broker.ask('POST', 'sys/latchkey/notifiers/ops', { token, body: { type: 'webhook', url } })
      t.match(hook, { status: 400, text: /url is not allowed/ }, `SEC-161 nor a place for notifications: ${url}`)
    }
  })
})

t.test('the master key', async (t) => {
  const folder = createFolder(t)
  const right = keyFile(createFolder(t))
  const broker = await startBroker(t, { folder, masterKeyFile: right })
  t.equal(await broker.stop(), 0)

  t.test('a wrong one is refused in plain words, and changes nothing', async (t) => {
    const { code, output } = await startRefused(t, { folder, masterKeyFile: keyFile(folder) })
    t.equal(code, 1)
    t.match(output, /latchkey does not start: .*master key/i)
    t.notMatch(output, /\n\s+at |unable to authenticate|GCM/i)
    await broker.restart()
    t.equal((await broker.ask('GET', 'sys/mounts')).status, 200)
    await broker.stop()
  })

  t.test('SEC-247 one that others may read, that is a link, or of another size is refused, without being shown', async (t) => {
    const open = keyFile(folder, { mode: 0o644 })
    const link = path.join(folder, 'link')
    symlinkSync(right, link)
    const directory = path.join(folder, 'directory')
    mkdirSync(directory)
    for (const masterKeyFile of [open, link, keyFile(folder, { bytes: 16 }), keyFile(folder, { bytes: 33 }), directory]) {
      const { code, output } = await startRefused(t, { folder: createFolder(t), masterKeyFile })
      t.equal(code, 1, masterKeyFile)
      t.match(output, /latchkey does not start: /)
      t.notMatch(output, /\n\s+at /)
    }
    const absent = path.join(folder, 'absent')
    t.match(await startRefused(t, { flags: [], folder: createFolder(t), masterKeyFile: absent, settings: production }), { code: 1, output: /latchkey does not start/ })
    t.notOk(existsSync(absent), 'production makes none')
  })
})

t.test('the store', async (t) => {
  t.test('FLT-043 a second broker on one SQLite file is refused, and the first one goes on', async (t) => {
    const broker = await startBroker(t)
    const { code, output } = await startRefused(t, { folder: broker.folder })
    t.equal(code, 1)
    t.match(output, /latchkey does not start: /)
    t.notMatch(output, /\n\s+at /)
    t.comment(output.split('\n').find((line) => line.includes('does not start')) ?? '')
    t.equal((await broker.must('GET', 'sys/mounts')).status, 200)
    await broker.must('PUT', 'sys/policies/acl/after', { body: { policy: 'path "a" { capabilities = ["read"] }' } })
  })

  t.test('SEC-233 an emptied store is not taken for a new one', async (t) => {
    const redis = await startRedis(t)
    const broker = await startBroker(t, { store: redis.url })
    await broker.stop()
    const other = await startRedis(t)
    const { code, output } = await startRefused(t, { folder: broker.folder, store: other.url })
    t.equal(code, 1)
    t.match(output, /latchkey does not start: /)
    t.notMatch(output, /\n\s+at /)
  })

  t.test('SEC-352 a Redis that may lose what it is given is refused in production and named in development', async (t) => {
    const redis = await startRedis(t, { appendonly: 'no', 'maxmemory-policy': 'allkeys-lru' })
    const { code, output } = await startRefused(t, { flags: [], store: redis.url, masterKeyFile: keyFile(createFolder(t)), settings: production })
    t.equal(code, 1)
    t.match(output, /appendonly/)
    t.match(output, /maxmemory-policy/)
    const broker = await startBroker(t, { store: redis.url })
    t.match(broker.output(), /maxmemory-policy/)
  })

  t.test('SEC-360 a store that does not answer is refused within bounds, and its password is not told', async (t) => {
    const from = performance.now()
    const { code, output } = await startRefused(t, { store: 'redis://user:CNRYpassword@127.0.0.1:1/0' })
    t.equal(code, 1)
    t.ok(performance.now() - from < 15_000)
    t.notMatch(output, /CNRY/)
    t.notMatch(output, /\n\s+at /)
  })
})
