//! The command line, word by word.

use anyhow::{Context, Result, bail};
use posemesh_domain_http::domain_data::{DomainAction, DownloadQuery, UploadDomainData};

/// The words that were not looked at yet.
pub struct Arguments {
    words: Box<dyn Iterator<Item = String>>,
}

impl Arguments {
    /// All of `words`.
    pub fn new(words: impl Iterator<Item = String> + 'static) -> Self {
        Self { words: Box::new(words) }
    }

    /// The next word, which must be there.
    pub fn next(&mut self, what: &str) -> Result<String> {
        self.words.next().with_context(|| format!("{what} is missing"))
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<()> {
        match self.words.next() {
            Some(word) => bail!("unexpected argument {word:?}"),
            None => Ok(()),
        }
    }

    /// The rest as filters.
    pub fn query(&mut self) -> Result<DownloadQuery> {
        let mut query = DownloadQuery { ids: Vec::new(), name: None, data_type: None };
        while let Some(option) = self.words.next() {
            let value = self.next(&format!("the value of {option}"))?;
            match option.as_str() {
                "--id" => query.ids.push(value),
                "--name" => query.name = Some(value),
                "--data-type" => query.data_type = Some(value),
                _ => bail!("unknown filter {option:?}"),
            }
        }
        Ok(query)
    }

    /// The rest as items to upload, read into memory: that is how the client takes them.
    pub async fn items(&mut self) -> Result<Vec<UploadDomainData>> {
        let mut items = Vec::new();
        while let Some(action) = self.words.next() {
            let action = match action.as_str() {
                "create" => {
                    let (name, data_type) = (self.next("a name")?, self.next("a data type")?);
                    DomainAction::Create { name, data_type }
                }
                "update" => DomainAction::Update { id: self.next("an id")? },
                _ => bail!("unknown kind of item {action:?}"),
            };
            let file = self.next("a file")?;
            let data = tokio::fs::read(&file).await.with_context(|| format!("read {file}"))?;
            items.push(UploadDomainData { action, data });
        }
        Ok(items)
    }
}
