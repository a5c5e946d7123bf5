import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { mkdtemp, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import path from 'node:path'

/** Terraform and a folder in the layout of a filesystem mirror that has the aws provider. */
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
export function findTerraform (): TerraformTools | string {
  const folders = (process.env['PATH'] ?? '').split(path.delimiter)
  const program = folders.map((folder) => path.join(folder, 'terraform')).find((file) => existsSync(file))
  if (program === undefined) return 'Terraform is not installed here'
  const mirrors = [
    process.env['TERRAFORM_PROVIDER_MIRROR'] ?? '', path.join(homedir(), '.terraform.d', 'plugins'),
    '/usr/local/share/terraform/plugins', '/usr/share/terraform/plugins', '/opt/tf-plugins'
  ]
  const mirror = mirrors.find((folder) => folder !== '' && hasProvider(folder))
  if (mirror === undefined) return 'no mirror here has Terraform\'s aws provider, and this test downloads nothing'
  return { program, mirror }
}

function hasProvider (mirror: string): boolean {
  return existsSync(mirror) &&
    readdirSync(mirror).some((origin) => existsSync(path.join(mirror, origin, 'hashicorp', 'aws')))
}

/** A working folder of its own with one configuration, in which commands run with no network but `endpoint`. */
export async function createWorkspace ({ program, mirror }: TerraformTools, endpoint: string) {
  const folder = await mkdtemp(path.join(tmpdir(), 'terraform-'))
  await writeFile(path.join(folder, 'cli.rc'),
    `provider_installation {\n  filesystem_mirror {\n    path = ${JSON.stringify(mirror)}\n  }\n}\n`)
  return {
    folder,
    configure: (resources: string): Promise<void> =>
      writeFile(path.join(folder, 'main.tf'), `${settings(endpoint)}\n${resources}\n`),
    run: (args: readonly string[], credentials: Readonly<Record<string, string>> = {}): Promise<TerraformResult> =>
      new Promise((resolve) => {
        const env = {
          PATH: process.env['PATH'] ?? '',
          HOME: folder,
          TF_CLI_CONFIG_FILE: path.join(folder, 'cli.rc'),
          TF_IN_AUTOMATION: '1',
          CHECKPOINT_DISABLE: '1',
          AWS_EC2_METADATA_DISABLED: 'true',
          ...credentials
        }
        execFile(program, [...args.slice(0, 1), '-input=false', '-no-color', ...args.slice(1)], { cwd: folder, env }, (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: stdout + stderr })
        })
      })
  }
}

function settings (endpoint: string): string {
  const url = JSON.stringify(endpoint)
  return `
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
}

provider "aws" {
  region            = "eu-west-1"
  s3_use_path_style = true
  endpoints {
    ec2     = ${url}
    iam     = ${url}
    route53 = ${url}
    s3      = ${url}
    sts     = ${url}
  }
}`
}
