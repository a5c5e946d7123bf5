import t from 'tap'
import { ConfigError, loadConfig } from '../../config/config.ts'

const production = { LATCHKEY_MASTER_KEY_FILE: '/run/key' }

t.test('SEC-248 plain HTTP is for loopback, or on purpose', async (t) => {
  for (const host of ['127.0.0.1', '127.1.2.3', '[::1]', 'localhost']) {
    t.doesNotThrow(() => loadConfig({ ...production, LATCHKEY_LISTEN: `${host}:8200` }, []), host)
  }
  for (const host of ['0.0.0.0', '[::]', '10.0.0.1', 'localhost.example', '127.0.0.1.example']) {
    const beyond = { ...production, LATCHKEY_LISTEN: `${host}:8200` }
    t.throws(() => loadConfig(beyond, []), /LATCHKEY_LISTEN beyond loopback needs TLS/, host)
    t.doesNotThrow(() => loadConfig({ ...beyond, LATCHKEY_TLS_CERT_FILE: 'c', LATCHKEY_TLS_KEY_FILE: 'k' }, []))
    t.doesNotThrow(() => loadConfig({ ...beyond, LATCHKEY_INSECURE_HTTP: 'yes' }, []))
  }
})

t.test('SEC-247 every problem is named at once, and no value', async (t) => {
  const error = catchError(() => loadConfig({
    LATCHKEY_LISTEN: 'CNRYlisten',
    LATCHKEY_LEASE_TTL_SECONDS: 'CNRYttl',
    LATCHKEY_TYPO: 'CNRYtypo',
    LATCHKEY_DEV_ROOT_TOKEN: 'CNRY-development',
    NODE_TLS_REJECT_UNAUTHORIZED: '0'
  }, ['--strore', 'x']))
  t.ok(error instanceof ConfigError)
  for (const name of ['LATCHKEY_LISTEN', 'LATCHKEY_LEASE_TTL_SECONDS', 'LATCHKEY_TYPO', 'LATCHKEY_DEV_ROOT_TOKEN',
    'NODE_TLS_REJECT_UNAUTHORIZED', 'LATCHKEY_MASTER_KEY_FILE', '--strore']) {
    t.match(error.message, name)
  }
  t.notMatch(error.message, /CNRY/)
})

t.test('SEC-254 development is on loopback, and never where it says production', async (t) => {
  t.throws(() => loadConfig({ LATCHKEY_LISTEN: '0.0.0.0:8200', LATCHKEY_INSECURE_HTTP: 'yes' }, ['--development']), /loopback only/)
  t.throws(() => loadConfig({ NODE_ENV: 'production' }, ['--development']), /NODE_ENV/)
})

t.test('a flag wins over its variable, and both over the default', async (t) => {
  t.match(loadConfig({}, ['--development']), { store: 'sqlite', listen: { host: '127.0.0.1', port: 8200 } })
  const flags = ['--development', '--store', 'redis://127.0.0.1:1', '--listen=[::1]:0']
  t.match(loadConfig({ LATCHKEY_STORE: 'sqlite' }, flags), { store: 'redis://127.0.0.1:1', listen: { host: '::1', port: 0 } })
})

function catchError (act: () => unknown): Error {
  try {
    act()
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('nothing was refused')
}
