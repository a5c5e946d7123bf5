import { globSync, readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'

/** Folder → what it may import besides itself and `node:`. A folder without a line fails. */
const rules: Readonly<Record<string, readonly string[]>> = {
  'src/core': ['nanoid', 'ipaddr.js'],
  'src/mounts': ['src/core'],
  'src/tokens': ['src/core'],
  'src/policies': ['src/core'],
  'src/leases': ['src/core'],
  'src/wrapping': ['src/core'],
  'src/audit': ['src/core'],
  'src/notify': ['src/core'],
  'src/metrics': ['src/core', 'prom-client'],
  'src/store': ['src/core', 'ioredis'],
  'src/engines/aws': ['src/core', '@aws-sdk/client-sts', '@aws-sdk/credential-provider-*', '@smithy/credential-provider-imds'],
  'src/engines/kv': ['src/core'],
  'src/auth/approle': ['src/core'],
  'src/broker': ['src/core', 'src/mounts', 'src/tokens', 'src/policies', 'src/leases', 'src/wrapping', 'src/audit'],
  'src/system': [
    'src/core', 'src/mounts', 'src/tokens', 'src/policies', 'src/leases', 'src/wrapping', 'src/audit', 'src/metrics', 'src/notify'
  ],
  'src/system/token': ['src/core', 'src/tokens'],
  'src/system/scopes': ['src/core', 'src/mounts', 'src/policies', 'src/system'],
  'src/bootstrap': ['src/core', 'src/broker'],
  'src/cli': ['src/core'],
  'src/emulator': ['src/emulator/*'],
  'src/emulator/*': ['src/emulator', 'src/emulator/*'],
  'src/demo': ['src/engines/aws'],
  config: ['pino'],
  plugins: ['src/core', 'src/broker', 'fastify', '@fastify/jwt', 'ipaddr.js', 'node-cron', 'pino'],
  src: ['*'],
  'deploy/terraform': ['src/demo', 'deploy/terraform/play'],
  'deploy/terraform/play': ['src/demo']
}

const root = path.join(import.meta.dirname, '../..')
const importFrom = /^(?:import (?:[^'\n]+ from )?|export [^'\n]+ from |\} from )'([^']+)'/gm
/** Of modules loaded at run time only fixed names are taken. */
const dynamic = /\bimport\s*\(\s*([^)]*)\)/g

const matches = (pattern: string, text: string) =>
  pattern === text || pattern === '*' || (pattern.endsWith('*') && text.startsWith(pattern.slice(0, -1)))

function ruleOf (folder: string): readonly string[] | null {
  return rules[folder] ?? Object.entries(rules).find(([name]) => name.endsWith('/*') && matches(name, folder))?.[1] ?? null
}

/** What a source imports besides `node:`, as it is written. */
function importsOf (source: string): string[] {
  const late = [...source.matchAll(dynamic)].map(([, target = '']) => /^'([^']+)'$/.exec(target)?.[1] ?? `computed ${target}`)
  return [...[...source.matchAll(importFrom)].map(([, target = '']) => target), ...late]
    .filter((target) => !target.startsWith('node:'))
}

/** Why a file breaks the rules; nothing where it keeps them. */
function breaches (file: string, source: string): string[] {
  const folder = path.dirname(file)
  const allowed = ruleOf(folder)
  if (allowed === null) return [`${folder} has no rule`]
  return importsOf(source).flatMap((target) => {
    const owner = target.startsWith('.') ? path.join(folder, path.dirname(target)) : target
    return owner === folder || allowed.some((pattern) => matches(pattern, owner)) ? [] : [`${file} imports ${target}`]
  })
}

const files = globSync('{src,plugins,config,deploy}/**/*.ts', { cwd: root })
const sources = new Map(files.map((file) => [file, readFileSync(path.join(root, file), 'utf8')]))

t.test('imports point where they may', async (t) => {
  t.ok(files.length > 100)
  t.strictSame([...sources].flatMap(([file, source]) => breaches(file, source)), [])
})

t.test('the rule finds what breaks it', async (t) => {
  const samples: [string, string][] = [
    ['src/leases/x.ts', 'import type { Token } from \'../tokens/token-store.ts\'\n'],
    ['src/leases/x.ts', 'import {\n  a,\n  b\n} from \'../store/redis.ts\'\n'],
    ['src/core/x.ts', 'import { Redis } from \'ioredis\'\n'],
    ['src/core/x.ts', 'export { a } from \'../broker/broker.ts\'\n'],
    ['src/core/x.ts', 'import \'../audit/audit.ts\'\n'],
    ['src/engines/aws/x.ts', 'import { b } from \'../../auth/approle/login.ts\'\n'],
    ['src/emulator/x.ts', 'import { b } from \'../core/ids.ts\'\n'],
    ['src/broker/x.ts', 'import fastify from \'fastify\'\n'],
    ['src/broker/x.ts', 'const y = await import(name)\n'],
    ['src/elsewhere/x.ts', '']
  ]
  for (const [file, source] of samples) t.equal(breaches(file, source).length, 1, `${file}: ${source}`)
})

t.test('no files import each other in a circle', async (t) => {
  const graph = new Map([...sources].map(([file, source]) => [file, importsOf(source)
    .filter((target) => target.startsWith('.')).map((target) => path.join(path.dirname(file), target))]))
  const circles: string[] = []
  const done = new Set<string>()

  function visit (file: string, trail: readonly string[]): void {
    if (trail.includes(file)) circles.push([...trail.slice(trail.indexOf(file)), file].join(' → '))
    if (done.has(file) || trail.includes(file)) return
    for (const next of graph.get(file) ?? []) visit(next, [...trail, file])
    done.add(file)
  }

  for (const file of graph.keys()) visit(file, [])
  t.strictSame(circles, [])
})

t.test('SEC-246 SEC-365 nothing runs text, loads modules by name, or draws secrets from a weak source', async (t) => {
  const forbidden = /\beval\s*\(|new Function\b|node:vm\b|createRequire\b|Math\.random\b|node:worker_threads'?\)|\bDate\.now\(\)/
  // The clock of the process stands in for the store's where there is no store yet, and for AWS's in the emulator.
  const mayReadTheClock = /^(?:src\/(?:demo|emulator|store)\/|src\/(?:open-store|cli\/parts)\.ts|plugins\/|config\/)/
  const found = [...sources].flatMap(([file, source]) => source.split('\n').flatMap((line, i) => {
    const hit = forbidden.exec(line)?.[0]
    if (hit === undefined || /^\s*(?:\*|\/\/|\/\*)/.test(line)) return []
    return hit === 'Date.now()' && mayReadTheClock.test(file) ? [] : [`${file}:${i + 1}: ${hit}`]
  }))
  t.strictSame(found, [])
})
