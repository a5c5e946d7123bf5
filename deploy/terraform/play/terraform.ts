import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'
import type { Flavour, Persona, Run, Runs, Variables } from './runs.ts'

/** Terraform and a folder in the layout of a filesystem mirror that has the providers asked for. */
export interface TerraformTools {
  readonly program: string
  readonly mirror: string
}

/** The end of a Terraform command. */
export interface TerraformResult {
  readonly code: number
  readonly output: string
}

/**
 * Finds both, or a sentence that says what is missing. Mirrors are looked for in
 * `TERRAFORM_PROVIDER_MIRROR`, where Terraform looks by itself, and in `/opt/tf-plugins`.
 */
export function findTerraform (providers: readonly string[]): TerraformTools | string {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter)
  const program = folders.map((folder) => path.join(folder, 'terraform')).find((file) => existsSync(file))
  if (program === undefined) return 'Terraform is not installed here'
  const mirrors = [
    process.env['TERRAFORM_PROVIDER_MIRROR'] ?? '', path.join(homedir(), '.terraform.d', 'plugins'),
    '/usr/local/share/terraform/plugins', '/usr/share/terraform/plugins', '/opt/tf-plugins'
  ]
  const mirror = mirrors.find((folder) => folder !== '' && providers.every((name) => hasProvider(folder, name)))
  if (mirror === undefined) return `no mirror here has Terraform's provider ${providers.join(' and ')}, and nothing is downloaded`
  return { program, mirror }
}

function hasProvider (mirror: string, name: string): boolean {
  return existsSync(mirror) &&
    readdirSync(mirror).some((origin) => existsSync(path.join(mirror, origin, 'hashicorp', name)))
}

/** A folder for configurations that Terraform runs in, with no provider but those of the mirror. */
export async function createTerraformFolder ({ program, mirror }: TerraformTools) {
  const folder = await mkdtemp(path.join(tmpdir(), 'terraform-'))
  const settings = path.join(folder, 'cli.rc')
  await writeFile(settings, `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(mirror)}\n  }\n}\n`)
  return {
    folder,
    /** Runs a command; `place` is a configuration's folder in this one, `more` a part of its environment. */
    run (args: readonly string[], more: NodeJS.ProcessEnv = {}, place = '.'): Promise<TerraformResult> {
      const env = {
        PATH: process.env['PATH'] ?? '',
        HOME: folder,
        TF_CLI_CONFIG_FILE: settings,
        TF_IN_AUTOMATION: '1',
        TF_INPUT: '0',
        CHECKPOINT_DISABLE: '1',
        AWS_EC2_METADATA_DISABLED: 'true',
        ...more
      }
      const all = [...args.slice(0, 1), '-no-color', ...args.slice(1)]
      return new Promise((resolve) => {
        const options = { cwd: path.join(folder, place), env, timeout: 240_000, maxBuffer: 16 * 1024 * 1024 }
        execFile(program, all, options, (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr })
        })
      })
    }
  }
}

/** Runs the configurations beside this folder with Terraform, against a broker and an AWS. */
export async function createTerraformRuns (
  tools: TerraformTools, flavour: Flavour, at: { readonly broker: string, readonly aws: string }
): Promise<Runs> {
  const { folder, run } = await createTerraformFolder(tools)
  const configurations = path.join(import.meta.dirname, '..')
  for (const part of ['policies', flavour]) {
    const filter = (source: string) => !path.basename(source).startsWith('.terraform')
    await cp(path.join(configurations, part), path.join(folder, part), { recursive: true, filter })
  }
  const begun = new Set<Persona>()
  const placeOf = (persona: Persona) => path.join(flavour, persona)

  async function command (persona: Persona, args: readonly string[], variables: Variables): Promise<TerraformResult> {
    const given = Object.entries({ broker: at.broker, ...variables })
      .map(([name, value]) => [`TF_VAR_${name}`, typeof value === 'string' ? value : JSON.stringify(value)])
    const env = { AWS_ENDPOINT_URL: at.aws, ...Object.fromEntries(given) as NodeJS.ProcessEnv }
    if (!begun.has(persona)) {
      const init = await run(['init'], env, placeOf(persona))
      if (init.code !== 0) return init
      begun.add(persona)
    }
    return run(args, env, placeOf(persona))
  }

  async function outputs (persona: Persona): Promise<Variables> {
    const { output } = await command(persona, ['output', '-json'], {})
    return Object.fromEntries(Object.entries(JSON.parse(output) as Record<string, { value: unknown }>)
      .map(([name, { value }]) => [name, value]))
  }

  const failed = ({ output }: TerraformResult): Run =>
    ({ ok: false, changes: false, outputs: {}, error: /^Error: [^]*/m.exec(output)?.[0] ?? output })

  return {
    async plan (persona, variables) {
      const result = await command(persona, ['plan', '-detailed-exitcode'], variables)
      if (result.code !== 0 && result.code !== 2) return failed(result)
      return { ok: true, changes: result.code === 2, outputs: {}, error: '' }
    },
    async apply (persona, variables) {
      const result = await command(persona, ['apply', '-auto-approve'], variables)
      if (result.code !== 0) return failed(result)
      return { ok: true, changes: false, outputs: await outputs(persona), error: '' }
    },
    state: (persona) => readFile(path.join(folder, placeOf(persona), 'terraform.tfstate'), 'utf8'),
    close: () => rm(folder, { recursive: true, force: true })
  }
}
