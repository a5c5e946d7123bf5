import t from 'tap'
import { SHARDS } from '../../src/core/store.ts'
import { prefixOf, TAGS } from '../../src/store/redis-tags.ts'
import { parseRedisUrl } from '../../src/store/redis-url.ts'

/** The slot of a key, as the Cluster specification has it: CRC16 (XMODEM) of the hash tag. */
function slotOf (key: string): number {
  const open = key.indexOf('{')
  const close = key.indexOf('}', open + 1)
  const hashed = open < 0 || close <= open + 1 ? key : key.slice(open + 1, close)
  let crc = 0
  for (const byte of Buffer.from(hashed)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = ((crc & 0x8000) === 0 ? crc << 1 : (crc << 1) ^ 0x1021) & 0xffff
  }
  return crc % 16_384
}

const single = {
  kind: 'single', isTls: false, hosts: [{ host: 'cache', port: 6379 }], primaryName: '', username: '',
  password: '', db: 0
}

t.test('each form of URL says where Redis is, of which kind, and who we are', async (t) => {
  const forms: Record<string, object> = {
    'redis://cache': single,
    'redis://cache/': single,
    'redis://cache:7000/3': { ...single, hosts: [{ host: 'cache', port: 7000 }], db: 3 },
    'rediss://cache': { ...single, isTls: true },
    'redis://[::1]:7000': { ...single, hosts: [{ host: '::1', port: 7000 }] },
    'redis://us%40er:p%3A%2Fw@cache': { ...single, username: 'us@er', password: 'p:/w' },
    'redis://:only@cache': { ...single, password: 'only' },
    'redis+sentinel://a:1,b,c:3/main/2': {
      ...single, kind: 'sentinel', primaryName: 'main', db: 2,
      hosts: [{ host: 'a', port: 1 }, { host: 'b', port: 26379 }, { host: 'c', port: 3 }]
    },
    'rediss+cluster://u:p@a:1,b:2': {
      ...single, kind: 'cluster', isTls: true, username: 'u', password: 'p',
      hosts: [{ host: 'a', port: 1 }, { host: 'b', port: 2 }]
    }
  }
  for (const [url, target] of Object.entries(forms)) t.strictSame(parseRedisUrl(url), target, url)
})

t.test('a URL of another form is refused without being repeated (SEC-359, SEC-360)', async (t) => {
  const bad = [
    '', 'cache', 'http://cache', 'redis://', 'redis://u:canary@', 'redis://u:canary@a,b', 'redis://u:canary@a:0',
    'redis://u:canary@a:70000', 'redis://u:canary@a:x', 'redis://u:canary@a/x', 'redis://u:canary@a?tls=no',
    'redis://u:%zzcanary@a', 'redis+sentinel://u:canary@a', 'redis+cluster://u:canary@a/1', 'redis://u:canary@a b',
    'rediss://u:canary@a?rejectUnauthorized=false', 'redis://u:canary@a/1\r\nFLUSHALL'
  ]
  for (const url of bad) {
    t.throws(() => parseRedisUrl(url), Error, url)
    try {
      parseRedisUrl(url)
    } catch (error) {
      t.notMatch(String(error), /canary/, url)
    }
  }
})

t.test('the slots of the 256 tags are evenly spaced and never change', async (t) => {
  t.strictSame(TAGS.map(slotOf), SHARDS.map((_, n) => 64 * n + 32))
  for (const [n, shard] of SHARDS.entries()) {
    t.equal(slotOf(`${prefixOf(shard)}${shard}:{hostile}{${n}}`), 64 * n + 32, 'whatever braces follow')
  }
  for (const nodes of [3, 6, 12]) {
    const held = Array.from({ length: nodes }, () => 0)
    for (const tag of TAGS) {
      const node = Math.floor(slotOf(tag) * nodes / 16_384)
      held[node] = (held[node] ?? 0) + 1
    }
    t.ok(Math.max(...held) - Math.min(...held) <= 1, `${nodes} nodes: ${held.join(' ')}`)
  }
  t.equal(slotOf('123456789'), 0x31c3, 'the value of the specification')
  t.equal(TAGS[0], 'e8a')
  t.equal(TAGS[255]?.length, 3)
  t.equal(prefixOf('sys'), prefixOf('sys'))
})
