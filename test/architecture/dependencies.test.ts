import { readFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'

interface Package {
  readonly version?: string
  readonly integrity?: string
  readonly hasInstallScript?: boolean
  readonly link?: boolean
}

const root = path.join(import.meta.dirname, '../..')
const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8')) as { packages: Readonly<Record<string, Package>> }
const installed = Object.entries(packages).filter(([place]) => place !== '')
const nameOf = (place: string) => place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length)

/** Versions below which a package has a known weakness; of several lines each has its own. */
const floors: Readonly<Record<string, readonly string[]>> = {
  fastify: ['5.12.3'],
  'find-my-way': ['9.10.1'],
  'fast-uri': ['3.1.7', '4.1.4'],
  '@fastify/jwt': ['10.2.8'],
  'fast-jwt': ['6.3.2'],
  ioredis: ['6.0.0']
}

const numbersOf = (version: string) => version.split('-', 1).flatMap((text) => text.split('.').map(Number))

function isAtLeast (version: string, floor: string): boolean {
  const [have, least] = [numbersOf(version), numbersOf(floor)]
  const at = have.findIndex((number, i) => number !== least[i])
  return at === -1 || (have[at] ?? 0) > (least[at] ?? 0)
}

/** Whether a version is at or above the floor of its line, or above the highest line. */
function isAllowed (version: string, lines: readonly string[]): boolean {
  const own = lines.find((floor) => numbersOf(floor)[0] === numbersOf(version)[0])
  return isAtLeast(version, own ?? lines.at(-1) ?? '')
}

t.test('SEC-350 no package is below the version that mends what is known of it', async (t) => {
  for (const name of Object.keys(floors)) t.ok(installed.some(([place]) => nameOf(place) === name), `${name} is installed`)
  t.strictSame(installed.flatMap(([place, { version = '' }]) => {
    const lines = floors[nameOf(place)]
    return lines === undefined || isAllowed(version, lines) ? [] : [`${place} ${version} is below ${lines.join(' or ')}`]
  }), [])
  t.notOk(isAllowed('3.1.6', ['3.1.7', '4.1.4']))
  t.notOk(isAllowed('4.1.3', ['3.1.7', '4.1.4']))
  t.ok(isAllowed('3.2.0', ['3.1.7', '4.1.4']))
  t.ok(isAllowed('5.0.0', ['3.1.7', '4.1.4']))
})

t.test('SEC-369 what is installed is what was locked, and runs nothing when it is installed', async (t) => {
  t.strictSame(installed.filter(([, { integrity, link }]) => integrity === undefined && link !== true).map(([place]) => place), [])
  const scripts = installed.filter(([, { hasInstallScript }]) => hasInstallScript === true).map(([place]) => nameOf(place))
  t.strictSame(scripts.filter((name) => name !== 'node'), [])
})
