import { createHash } from 'node:crypto'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { isJsonObject, type Json, type JsonObject } from '../core/json.ts'

/** One write that a bootstrap consists of, as a client would send it. */
export interface PlannedWrite {
  readonly path: string
  readonly data: JsonObject
  /** Where reading it first tells whether it is there already; such a thing is left alone. */
  readonly unlessPresent: boolean
}

/** What a folder says the broker shall hold. */
export interface BootstrapPlan {
  readonly writes: readonly PlannedWrite[]
  /** Changes whenever anything in the plan does. */
  readonly digest: string
}

const sections = ['auth', 'mounts', 'writes']

/**
 * Reads a bootstrap folder: `bootstrap.json` with `auth` and `mounts` (path to body of the enabling
 * call) and `writes` (a list of `path` and `data`), and, where it is there, `policies/*.hcl|json`,
 * each a policy named after its file.
 *
 * @throws Error naming the file and what is wrong with it.
 */
export function readBootstrap (folder: string): BootstrapPlan {
  const file = path.join(folder, 'bootstrap.json')
  const content = parse(readFileSync(file, 'utf8'), file)
  const unknown = Object.keys(content).find((name) => !sections.includes(name))
  if (unknown !== undefined) throw new Error(`${file}: "${unknown}" is none of ${sections.join(', ')}`)
  const writes = [
    ...enablings(content['auth'], 'sys/auth', file),
    ...enablings(content['mounts'], 'sys/mounts', file),
    ...policies(path.join(folder, 'policies')),
    ...plainWrites(content['writes'], file)
  ]
  return { writes, digest: createHash('sha256').update(JSON.stringify(writes)).digest('hex') }
}

function parse (text: string, file: string): JsonObject {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw new Error(`${file} is not JSON`)
  }
  if (!isJsonObject(value)) throw new Error(`${file} is not a JSON object`)
  return value
}

function enablings (section: Json | undefined, prefix: string, file: string): PlannedWrite[] {
  if (section === undefined) return []
  if (!isJsonObject(section)) throw new Error(`${file}: auth and mounts are objects of path to settings`)
  return Object.entries(section).map(([mountPath, data]) => {
    if (!isJsonObject(data)) throw new Error(`${file}: the settings of ${mountPath} are no object`)
    return { path: `${prefix}/${mountPath}`, data, unlessPresent: true }
  })
}

function policies (folder: string): PlannedWrite[] {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter((name) => /\.(?:hcl|json)$/.test(name)).sort()
  return files.map((name) => ({
    path: `sys/policies/acl/${name.replace(/\.\w+$/, '')}`,
    data: { policy: readFileSync(path.join(folder, name), 'utf8') },
    unlessPresent: false
  }))
}

function plainWrites (section: Json | undefined, file: string): PlannedWrite[] {
  if (section === undefined) return []
  if (!Array.isArray(section)) throw new Error(`${file}: writes is a list`)
  return section.map((entry: Json) => {
    if (!isJsonObject(entry) || typeof entry['path'] !== 'string' || !isJsonObject(entry['data'])) {
      throw new Error(`${file}: each of the writes has a path and data`)
    }
    return { path: entry['path'], data: entry['data'], unlessPresent: false }
  })
}
